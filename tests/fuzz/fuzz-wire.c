/*
 * The decoder of the client protocol. The first byte of an input says the side, the second how many
 * descriptors come along; the rest is the message. What is decoded lies within the message, and
 * encoding it again gives the same bytes.
 */
#include "proto/wire.h"
#include "proto/cleanup.h"
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

static void check_encoding(const struct wire_message *message, const void *data, size_t size) {
    static _Alignas(8) unsigned char again[WIRE_MESSAGE_MAX];
    struct wire_string strings[WIRE_STRINGS_MAX];
    int encoded;

    for (size_t i = 0; i < message->n_strings; i++)
        strings[i] = (struct wire_string){
            .data = message->string[i].data,
            .length = message->string[i].length,
        };
    encoded = wire_encode(&message->header, message->body, strings, again);
    fuzz_check(encoded == (int)size);
    fuzz_check(memcmp(again, data, size) == 0);
}

static void check_strings(const struct wire_message *message, const char *data, size_t size) {
    for (size_t i = 0; i < message->n_strings; i++) {
        fuzz_check(message->string[i].data >= data && message->string[i].data <= data + size);
        fuzz_check(message->string[i].length <= (size_t)(data + size - message->string[i].data));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    _cleanup_free_ void *aligned = NULL;
    struct wire_message message = {0};
    struct error error = {0};
    enum wire_side side;
    int r;

    if (size < 2)
        return 0;
    aligned = malloc(size - 2);
    fuzz_check(aligned);
    memcpy(aligned, data + 2, size - 2);
    side = data[0] & 1 ? WIRE_REPLY_SIDE : WIRE_REQUEST_SIDE;
    r = wire_decode(side, aligned, size - 2, data[1], &message, &error);
    fuzz_check(r == 0 || r == -EBADMSG || r == -EOPNOTSUPP);
    if (r < 0) {
        fuzz_check(error.code == r && *error.text);
        return 0;
    }
    fuzz_check(wire_op_name(message.header.op));
    check_strings(&message, aligned, size - 2);
    check_encoding(&message, aligned, size - 2);
    return 0;
}
