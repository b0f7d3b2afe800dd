/*
 * org.varlink.service: how a client asks what there is to call
 *
 * The interface texts are those of proto/, built into the program.
 */
#pragma once

#include "daemon/faces/varlink-connection.h"

/* Answers a call whose method is of org.varlink.service, or of no interface this service has;
 * returns false for one of io.shmreg.Admin. */
bool varlink_service_call(const struct varlink_call *call);

/* Answers a call of a method that its interface does not have. */
void varlink_method_not_found(const struct varlink_call *call);
