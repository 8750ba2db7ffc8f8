// A library of C++ as extension modules bring them: it writes to C++'s streams and reads variables of the C library.
#include <iostream>
#include <stdexcept>
#include <unistd.h>

extern "C" {

void say() { std::cout << "said by C++" << std::endl; std::cerr << "told by C++" << std::endl; }

int count_environment() {
  int count = 0;
  for (char **entry = environ; *entry != nullptr; ++entry) ++count;
  return count;
}

int catch_its_own() {
  try {
    throw std::runtime_error("thrown");
  } catch (const std::exception &) {
    return 1;
  }
}
}
