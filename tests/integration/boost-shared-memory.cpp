// A program of Boost.Interprocess, as its manual has them: knows nothing of shmregd.
#include <boost/interprocess/managed_shared_memory.hpp>
#include <iostream>

using namespace boost::interprocess;

// All of several processes that are started at once have it, whoever of them has made it.
static int share() {
    managed_shared_memory memory(open_or_create, "shim_test", 100000);
    return memory.get_size() == 100000 ? 0 : 1;
}

int main(int argc, char **) {
    if (argc > 1)
        return share();
    managed_shared_memory first(create_only, "shim_test", 100000);
    first.construct<int>("answer")(42);
    managed_shared_memory second(open_only, "shim_test");
    if (*second.find<int>("answer").first != 42)
        return 1;
    std::cout << "ready" << std::endl;
    std::cin.get();
    return shared_memory_object::remove("shim_test") ? 0 : 1;
}
