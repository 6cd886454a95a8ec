package bpf

// The compiled programs are checked in, so that building the gateway needs no
// C compiler; ./check-generated tells whether they still match their source.
// Debian and Ubuntu keep asm/types.h in a folder named after the machine, of
// which the one that does not exist is ignored. Version 3 of the instruction
// set brings the atomic exchange that the limit on new connections needs.

//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -go-package bpf -type exit -type action -type other inside steer_inside.c -- -O2 -mcpu=v3 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
//go:generate go tool bpf2go -cc clang-19 -strip llvm-strip-19 -target bpfel -go-package bpf -type exit outside steer_outside.c -- -O2 -mcpu=v3 -Wall -Wextra -Werror -I/usr/include/x86_64-linux-gnu -I/usr/include/aarch64-linux-gnu
