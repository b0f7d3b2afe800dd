/*
 * A look at a registry's file before LMDB maps it
 *
 * LMDB follows whatever numbers it finds in its pages, and crashes on wrong ones. So the file is
 * walked first, with pread(2): both meta pages, then every page that the newer one leads to (the
 * tree of free pages, the main tree, and the trees of the tables, which are entries of the main
 * one). Each page must be of the right kind, hold its entries within its bounds and in order, and
 * belong to one place only. The layout is that of LMDB 0.9, data version 1.
 */
#include "daemon/ground/registry-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#define LMDB_MAGIC 0xBEEFC0DEu
#define LMDB_VERSION 1u
#define LMDB_PAGE_SIZE_MAX 32768
#define LMDB_FIRST_PAGE 2 /* after the meta pages */
#define LMDB_NO_PAGE UINT64_MAX
#define LMDB_DEPTH_MAX 32

enum page_flag {
    PAGE_BRANCH = 1,
    PAGE_LEAF = 2,
    PAGE_OVERFLOW = 4,
    PAGE_META = 8,
};

enum node_flag {
    NODE_BIG = 1,  /* the value is on overflow pages */
    NODE_TREE = 2, /* the value is a struct tree */
};

struct page_header {
    uint64_t number;
    uint16_t pad;
    uint16_t flags;
    uint16_t lower, upper; /* an overflow page has the number of its pages here */
};

struct tree {
    uint32_t pad;
    uint16_t flags;
    uint16_t depth;
    uint64_t branch_pages, leaf_pages, overflow_pages, entries, root;
};

struct meta {
    struct page_header header;
    uint32_t magic, version;
    uint64_t address, map_size;
    struct tree free, main; /* the pad of `free` is the page size */
    uint64_t last_page, transaction;
};

struct node {
    uint16_t low, high, flags, key_size;
};

_Static_assert(sizeof(struct tree) == 48 && sizeof(struct meta) == 152, "as LMDB lays it out");

enum tree_kind {
    TREE_FREE,
    TREE_MAIN,
    TREE_TABLE,
};

#define TREE_FLAGS_INTEGER_KEY 0x08u
#define KEY_MAX 511

/* A walk over one tree, which meets its keys in order. */
struct walk {
    enum tree_kind kind;
    uint8_t last[KEY_MAX]; /* the key before */
    size_t last_size;
    bool after_separator; /* it was in a branch: the first key of that branch may be the same */
};

struct checker {
    int fd;
    size_t page_size;
    uint64_t n_pages;
    uint64_t transaction; /* the last one */
    uint8_t *taken;       /* a bit for each page that has its place */
};

static int check_tree(struct checker *checker, const struct tree *tree, enum tree_kind kind);

static int read_exactly(const struct checker *checker, void *buffer, size_t size, uint64_t offset) {
    ssize_t n;

    do
        n = pread(checker->fd, buffer, size, (off_t)offset);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return -errno;
    return (size_t)n == size ? 0 : -EUCLEAN;
}

/* Every page has one place, so a walk over wrong numbers ends, too. */
static int take_pages(struct checker *checker, uint64_t first, uint64_t count) {
    if (first < LMDB_FIRST_PAGE || first >= checker->n_pages || count > checker->n_pages - first)
        return -EUCLEAN;
    for (uint64_t page = first; page < first + count; page++) {
        uint8_t bit = (uint8_t)(1u << (page % 8));

        if (checker->taken[page / 8] & bit)
            return -EUCLEAN;
        checker->taken[page / 8] |= bit;
    }
    return 0;
}

/* A value on pages of its own. */
static int check_overflow(struct checker *checker, uint64_t page, size_t size) {
    struct page_header header = {0};
    uint64_t count = (sizeof(header) - 1 + size) / checker->page_size + 1;
    uint32_t recorded;
    int r = take_pages(checker, page, count);

    if (r == 0)
        r = read_exactly(checker, &header, sizeof(header), page * checker->page_size);
    if (r < 0)
        return r;
    memcpy(&recorded, &header.lower, sizeof(recorded));
    return header.number == page && header.flags == PAGE_OVERFLOW && recorded == count ? 0
                                                                                       : -EUCLEAN;
}

static int compare_keys(enum tree_kind kind, const uint8_t *a, size_t a_size, const uint8_t *b,
                        size_t b_size) {
    uint64_t left, right;
    int r;

    if (kind == TREE_FREE && a_size == sizeof(left) && b_size == sizeof(right)) {
        memcpy(&left, a, sizeof(left));
        memcpy(&right, b, sizeof(right));
        return left < right ? -1 : left > right;
    }
    r = memcmp(a, b, a_size < b_size ? a_size : b_size);
    if (r == 0)
        r = a_size < b_size ? -1 : a_size > b_size;
    return r;
}

/* LMDB searches by the order of keys, and counts on that of transactions in the free tree. */
static int check_key(const struct checker *checker, struct walk *walk, const uint8_t *key,
                     size_t size, bool separator) {
    uint64_t transaction;
    int order;

    if (size == 0 || size > KEY_MAX || (walk->kind == TREE_FREE && size != sizeof(transaction)))
        return -EUCLEAN;
    if (walk->kind == TREE_FREE) {
        memcpy(&transaction, key, sizeof(transaction));
        if (transaction == 0 || transaction > checker->transaction)
            return -EUCLEAN;
    }
    order = compare_keys(walk->kind, walk->last, walk->last_size, key, size);
    if (walk->last_size > 0 && (order > 0 || (order == 0 && !walk->after_separator)))
        return -EUCLEAN;
    memcpy(walk->last, key, size);
    walk->last_size = size;
    walk->after_separator = separator;
    return 0;
}

/* A list of free pages: how many, then their numbers, the highest first. */
static int check_free_list(struct checker *checker, uint64_t offset, size_t size) {
    _cleanup_free_ uint64_t *list = malloc(size ? size : 1);
    int r;

    if (!list)
        return -ENOMEM;
    if (size < sizeof(*list) || size % sizeof(*list) != 0)
        return -EUCLEAN;
    r = read_exactly(checker, list, size, offset);
    if (r == 0 && list[0] > size / sizeof(*list) - 1)
        r = -EUCLEAN;
    for (uint64_t i = 1; r == 0 && i <= list[0]; i++)
        r = i > 1 && list[i] >= list[i - 1] ? -EUCLEAN : take_pages(checker, list[i], 1);
    return r;
}

static int check_value(struct checker *checker, enum tree_kind kind, uint64_t page_offset,
                       const uint8_t *page, size_t at, const struct node *node) {
    size_t size = (size_t)node->low | (size_t)node->high << 16;
    size_t value = at + sizeof(*node) + node->key_size;
    size_t room = value < checker->page_size ? checker->page_size - value : 0;
    uint64_t value_offset = page_offset + value, big;
    struct tree tree;
    int r;

    if (node->flags == NODE_BIG && room >= sizeof(big)) {
        memcpy(&big, page + value, sizeof(big));
        r = check_overflow(checker, big, size);
        if (r < 0)
            return r;
        value_offset = big * checker->page_size + sizeof(struct page_header);
    } else if (node->flags == NODE_TREE && kind == TREE_MAIN && size == sizeof(tree) &&
               room >= sizeof(tree)) {
        memcpy(&tree, page + value, sizeof(tree));
        return check_tree(checker, &tree, TREE_TABLE);
    } else if (node->flags != 0 || room < size)
        return -EUCLEAN;
    return kind == TREE_FREE ? check_free_list(checker, value_offset, size) : 0;
}

static int check_page(struct checker *checker, struct walk *walk, uint64_t number, unsigned depth);

/* Entry @i of a page: in a leaf a key and its value, in a branch the page below it and, but for the
 * first one, the key that this page starts with. */
static int check_node(struct checker *checker, struct walk *walk, uint64_t number, unsigned depth,
                      const uint8_t *page, size_t i) {
    struct page_header header;
    struct node node;
    uint16_t at;
    int r = 0;

    memcpy(&header, page, sizeof(header));
    memcpy(&at, page + sizeof(header) + i * sizeof(at), sizeof(at));
    if (at < header.upper || at + sizeof(node) > checker->page_size)
        return -EUCLEAN;
    memcpy(&node, page + at, sizeof(node));
    if (at + sizeof(node) + node.key_size > checker->page_size)
        return -EUCLEAN;
    if (depth == 1 || i > 0)
        r = check_key(checker, walk, page + at + sizeof(node), node.key_size, depth > 1);
    if (r < 0)
        return r;
    if (depth == 1)
        return check_value(checker, walk->kind, number * checker->page_size, page, at, &node);
    return check_page(checker, walk,
                      (uint64_t)node.low | (uint64_t)node.high << 16 | (uint64_t)node.flags << 32,
                      depth - 1);
}

static int check_page(struct checker *checker, struct walk *walk, uint64_t number, unsigned depth) {
    _cleanup_free_ uint8_t *page = malloc(checker->page_size);
    struct page_header header;
    size_t n_nodes;
    int r;

    if (!page)
        return -ENOMEM;
    r = take_pages(checker, number, 1);
    if (r == 0)
        r = read_exactly(checker, page, checker->page_size, number * checker->page_size);
    if (r < 0)
        return r;

    memcpy(&header, page, sizeof(header));
    n_nodes = header.lower < sizeof(header) ? 0 : (header.lower - sizeof(header)) / 2;
    if (header.number != number || header.flags != (depth == 1 ? PAGE_LEAF : PAGE_BRANCH) ||
        header.lower > header.upper || header.upper > checker->page_size ||
        n_nodes < (depth == 1 || walk->kind == TREE_FREE ? 1u : 2u))
        return -EUCLEAN;
    for (size_t i = 0; r == 0 && i < n_nodes; i++)
        r = check_node(checker, walk, number, depth, page, i);
    return r;
}

static int check_tree(struct checker *checker, const struct tree *tree, enum tree_kind kind) {
    struct walk walk = {.kind = kind};

    /* The free tree's flags are those of the environment, too. */
    if (kind == TREE_FREE ? (tree->flags & ~MDB_NOSUBDIR) != TREE_FLAGS_INTEGER_KEY
                          : tree->flags != 0)
        return -EUCLEAN;
    if (tree->root == LMDB_NO_PAGE)
        return tree->depth == 0 ? 0 : -EUCLEAN;
    if (tree->depth == 0 || tree->depth > LMDB_DEPTH_MAX)
        return -EUCLEAN;
    return check_page(checker, &walk, tree->root, tree->depth);
}

/* The newer of the two meta pages, which the last commit wrote. */
static int read_meta(const struct checker *checker, struct meta *ret) {
    for (uint64_t i = 0; i < LMDB_FIRST_PAGE; i++) {
        struct meta meta;
        int r = read_exactly(checker, &meta, sizeof(meta), i * checker->page_size);

        if (r < 0)
            return r;
        if (meta.header.flags != PAGE_META || meta.magic != LMDB_MAGIC ||
            meta.version != LMDB_VERSION || meta.free.pad != checker->page_size)
            return -EUCLEAN;
        if (i == 0 || meta.transaction > ret->transaction)
            *ret = meta;
    }
    return 0;
}

static int check_content(struct checker *checker, uint64_t size) {
    struct meta meta;
    int r = read_meta(checker, &meta);

    if (r < 0)
        return r;
    if (meta.last_page < LMDB_FIRST_PAGE - 1 || meta.last_page >= size / checker->page_size)
        return -EUCLEAN;

    checker->n_pages = meta.last_page + 1;
    checker->transaction = meta.transaction;
    checker->taken = calloc(checker->n_pages / 8 + 1, 1);
    if (!checker->taken)
        return -ENOMEM;
    r = check_tree(checker, &meta.free, TREE_FREE);
    if (r == 0)
        r = check_tree(checker, &meta.main, TREE_MAIN);
    free(checker->taken);
    return r;
}

int registry_check_file(int home, const char *name, struct error *error) {
    _cleanup_close_ int fd = openat(home, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    struct checker checker = {.fd = fd, .page_size = (size_t)sysconf(_SC_PAGESIZE)};
    struct stat status;
    int r;

    if (fd < 0 && errno == ENOENT)
        return -ENOENT;
    if (fd < 0 && errno != ELOOP)
        return error_set(error, -errno, "cannot open it: %s", strerror(errno));
    if (fd >= 0 && fstat(fd, &status) < 0)
        return error_set(error, -errno, "cannot inspect it: %s", strerror(errno));
    if (fd < 0 || !S_ISREG(status.st_mode))
        return error_set(error, -EUCLEAN, "it is not a regular file");

    if (checker.page_size > LMDB_PAGE_SIZE_MAX)
        checker.page_size = LMDB_PAGE_SIZE_MAX;
    r = check_content(&checker, (uint64_t)status.st_size);
    if (r == -EUCLEAN)
        return error_set(error, r, "it is damaged, or no registry");
    if (r < 0)
        return error_set(error, r, "cannot read it: %s", strerror(-r));
    return 0;
}
