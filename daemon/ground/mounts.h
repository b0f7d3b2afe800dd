/*
 * Mounts: of which file system a descriptor is, without asking the file system
 *
 * fstat(2) on a file of FUSE or of a network waits for whoever serves it, who may never answer. What
 * the kernel itself knows of a descriptor (proc(5): fdinfo, mountinfo) never waits.
 */
#pragma once

#define MOUNT_TYPE_MAX 64

/*
 * The type, "ext4", "fuse.sshfs". Mounts of the daemon's own namespace are known and those of
 * process 1, which are the host's where a service manager gives the daemon a namespace of its own.
 * In a chroot(2) that is no mount point, the root's own mount is known by asking it.
 * -ENOENT for others, and for what is on no mount: pipes, sockets, memfds.
 */
int mount_type(int fd, char ret[static MOUNT_TYPE_MAX]);
