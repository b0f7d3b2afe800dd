/*
 * ADOPT: the one request that brings a descriptor
 */
#include "daemon/faces/dispatch-private.h"

static int answer_attached(struct request *request, const struct attachment *attachment,
                           const struct attachment_fds *fds) {
    struct wire_attachment description = request_describe_attachment(request, attachment, true);

    request_add_descriptors(request, fds);
    return request_answer(request, &(struct wire_adopt_reply){.count = 1},
                          &(struct wire_string){&description, sizeof(description)});
}

int on_adopt(struct request *request) {
    const struct wire_adopt_request *adopt = request->message->body;
    int fd = request->dispatcher->request_fds.fd[0]; /* wire_decode() has counted */
    struct attachment *attachment;
    struct attachment_fds fds;
    struct region_spec spec;
    int r = request_read_spec(request, &adopt->spec, 0, WIRE_SYNC_BLOCK, &spec);

    if (r == 0)
        r = manager_adopt(request->manager, request->client, &spec, fd, adopt->access, &attachment,
                          &fds, request->error);
    if (r < 0)
        return r;
    if (adopt->access != WIRE_NO_ACCESS)
        return answer_attached(request, attachment, &fds);
    return request_answer(request, &(struct wire_adopt_reply){.count = 0},
                          &(struct wire_string){.length = 0});
}
