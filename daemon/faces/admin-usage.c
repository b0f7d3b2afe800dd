/*
 * The method on who uses how much: the accounts of the quota
 */
#include "daemon/faces/admin-format.h"
#include "daemon/faces/admin-private.h"

#include <string.h>

struct account_list {
    const struct caller *caller;
    json_t *accounts;
    struct user_names names;
};

/* What somebody else has is for administrators. */
static bool may_see(const struct caller *caller, const struct account *account) {
    switch (account->kind) {
    case ACCOUNT_TOTAL:
        return true;
    case ACCOUNT_USER:
        return caller->administrator || caller->uid == account->uid;
    case ACCOUNT_UNIT:
        return caller->administrator ||
               (caller->units.name && strcmp(caller->units.name, account->name) == 0);
    case ACCOUNT_NAMESPACE:
        break;
    }
    return caller->administrator;
}

static void add_account(void *data, const struct account *account) {
    struct account_list *list = data;

    if (may_see(list->caller, account))
        json_array_append_new(list->accounts, format_account(account, &list->names));
}

void admin_list_usage(struct admin_connection *connection, const struct varlink_call *call) {
    const struct quota *quota = manager_quota(connection->manager);
    struct account_list list = {.caller = &connection->caller, .accounts = json_array()};

    accounts_each(quota_accounts(quota), add_account, &list);
    varlink_reply(call, json_pack("{s:o}", "accounts", list.accounts));
}
