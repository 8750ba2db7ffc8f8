// A library of C++ as extension modules bring them: it writes to C++'s streams and reads variables of the C library.
#include <iostream>
#include <stdexcept>
#include <sys/wait.h>
#include <unistd.h>

extern "C" {

void say() { std::cout << "said by C++" << std::endl; std::cerr << "told by C++" << std::endl; }

int count_environment() {
  int count = 0;
  for (char **entry = environ; *entry != nullptr; ++entry) ++count;
  return count;
}

// As libuv does for a child, uvloop's for example. Returns the child's status: 0 where it has this environment and no other.
int start_with_an_environment() {
  static char only[] = "ONLY=this";
  static char *environment[] = {only, nullptr};
  const pid_t child = fork();
  if (child == 0) {
    environ = environment;
    execl("/bin/sh", "sh", "-c", "test \"$ONLY\" = this && test -z \"$HOME\"", nullptr);
    _exit(127);
  }
  int status = -1;
  waitpid(child, &status, 0);
  return status;
}

int catch_its_own() {
  try {
    throw std::runtime_error("thrown");
  } catch (const std::exception &) {
    return 1;
  }
}
}
