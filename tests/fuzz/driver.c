/*
 * Driver: runs a fuzz target where there is no libFuzzer
 *
 *     fuzz-TARGET CORPUS EXECUTIONS
 *
 * Runs every file of the corpus, and then so many mutations of them. The mutations are the same in
 * every run, so a failure comes again; the input it failed on is left in the working directory. With
 * one argument, a file, it runs that one.
 */
#include "tests/fuzz/fuzz.h"

#include "proto/cleanup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define INPUTS_MAX 256u
#define INPUT_MAX 16384u
#define MUTATIONS_MAX 6u
#define NOISE_MAX 64u

struct input {
    size_t size;
    uint8_t *data;
};

struct corpus {
    unsigned count;
    struct input inputs[INPUTS_MAX];
};

/* The input under test, for the handler that keeps it when the target fails. */
static uint8_t input[INPUT_MAX];
static size_t input_size;

static uint64_t next_random(void) {
    static uint64_t state = 0x9e3779b97f4a7c15u;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static size_t below(size_t limit) {
    return limit ? (size_t)(next_random() % limit) : 0;
}

static void keep_input(int signal_number) {
    static const char text[] = "the input is in ./crash\n";
    int fd = open("crash", O_CREAT | O_WRONLY | O_TRUNC | O_CLOEXEC, 0644);

    if (write(fd, input, input_size) == (ssize_t)input_size)
        (void)!write(STDERR_FILENO, text, sizeof(text) - 1);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

/* From memory of exactly that size, so that a sanitizer sees a read past the end. */
static void run(void) {
    _cleanup_free_ uint8_t *exact = malloc(input_size ? input_size : 1);

    fuzz_check(exact);
    memcpy(exact, input, input_size);
    LLVMFuzzerTestOneInput(exact, input_size);
}

static void add(int fd, struct corpus *corpus) {
    struct input *one = &corpus->inputs[corpus->count];
    ssize_t size = read(fd, input, sizeof(input));

    fuzz_check(size >= 0);
    one->data = malloc((size_t)size + 1);
    fuzz_check(one->data);
    memcpy(one->data, input, (size_t)size);
    one->size = (size_t)size;
    corpus->count++;
}

/* All files of a directory, or one file. */
static void load(const char *path, struct corpus *corpus) {
    _cleanup_close_ int file = open(path, O_RDONLY | O_CLOEXEC);
    _cleanup_closedir_ DIR *stream = opendir(path);
    const struct dirent *entry;

    fuzz_check(file >= 0);
    if (!stream)
        add(file, corpus);
    while (stream && (entry = readdir(stream)) && corpus->count < INPUTS_MAX) {
        _cleanup_close_ int fd = openat(dirfd(stream), entry->d_name, O_RDONLY | O_CLOEXEC);

        if (entry->d_type == DT_REG)
            add(fd, corpus);
    }
    fuzz_check(corpus->count > 0);
}

static int compare_inputs(const void *a, const void *b) {
    const struct input *x = a, *y = b;

    if (x->size != y->size)
        return x->size < y->size ? -1 : 1;
    return memcmp(x->data, y->data, x->size);
}

static void insert(const uint8_t *data, size_t size) {
    size_t at = below(input_size + 1);

    if (size > INPUT_MAX - input_size)
        return;
    memmove(input + at + size, input + at, input_size - at);
    memcpy(input + at, data, size);
    input_size += size;
}

static void erase(void) {
    size_t at = below(input_size), size = 1 + below(input_size - at);

    memmove(input + at, input + at + size, input_size - at - size);
    input_size -= size;
}

static void insert_noise(void) {
    uint8_t noise[NOISE_MAX];

    for (size_t i = 0; i < sizeof(noise); i++)
        noise[i] = (uint8_t)next_random();
    insert(noise, below(sizeof(noise) + 1));
}

static void overwrite(const void *data, size_t size) {
    if (size <= input_size)
        memcpy(input + below(input_size - size + 1), data, size);
}

static void mutate(const struct corpus *corpus) {
    static const uint32_t numbers[] = {0, 1, 2, 7, 16, 64, 255, 256, 65535, INT32_MAX, UINT32_MAX};
    static const char *const letters = "\0/:,.{}[]\"rwm0-";
    const struct input *other = &corpus->inputs[below(corpus->count)];
    uint32_t number = numbers[below(ARRAY_SIZE(numbers))];
    uint8_t byte = (uint8_t)next_random();

    switch (below(input_size > 0 ? 9 : 3)) {
    case 0:
        insert(&byte, 1);
        break;
    case 1:
        insert(other->data, below(other->size + 1));
        break;
    case 2:
        insert_noise();
        break;
    case 3:
        erase();
        break;
    case 4:
        input[below(input_size)] ^= (uint8_t)(1u << below(8));
        break;
    case 5:
        overwrite(&number, sizeof(number));
        break;
    case 6:
        overwrite(&number, sizeof(uint16_t));
        break;
    case 7:
        overwrite(other->data, below(other->size + 1));
        break;
    default:
        overwrite(&letters[below(strlen(letters + 1) + 1)], 1);
    }
}

static void take(const struct input *one) {
    memcpy(input, one->data, one->size);
    input_size = one->size;
}

static void run_mutations(const struct corpus *corpus, unsigned long count) {
    for (unsigned long i = 0; i < count; i++) {
        take(&corpus->inputs[below(corpus->count)]);
        for (size_t k = 1 + below(MUTATIONS_MAX); k > 0; k--)
            mutate(corpus);
        run();
    }
}

int main(int argc, char **argv) {
    static struct corpus corpus;
    unsigned long mutations = argc == 3 ? strtoul(argv[2], NULL, 10) : 0;

    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: %s CORPUS EXECUTIONS\n       %s FILE\n", argv[0], argv[0]);
        return 2;
    }
    signal(SIGABRT, keep_input);
    signal(SIGSEGV, keep_input);
    load(argv[1], &corpus);
    qsort(corpus.inputs, corpus.count, sizeof(corpus.inputs[0]), compare_inputs);
    for (unsigned i = 0; i < corpus.count; i++) {
        take(&corpus.inputs[i]);
        run();
    }
    run_mutations(&corpus, mutations);
    for (unsigned i = 0; i < corpus.count; i++)
        free(corpus.inputs[i].data);
    printf("%s: %lu inputs: %u of the corpus, %lu mutations\n", program_invocation_short_name,
           corpus.count + mutations, corpus.count, mutations);
    return 0;
}
