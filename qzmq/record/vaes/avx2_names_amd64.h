// Names of registers, and arithmetic, on vectors of two blocks. The plan is at the
// head of avx2_amd64.s.

// Where things are in keys (gcm_amd64.go): powers up to H^1, as in
// avx512_names_amd64.h, of which H^17 and those below are used; then for each pair
// of vectors of a unit's powers the sums of their halves, then round keys. A load of
// 32 bytes at H^k gives H^k and H^(k-1); one at H^1 gives sums, too, which then meet
// a block of zero.
#define powersUnit 320 // H^16
#define powersOne  560 // H^1
#define sumsUnit   704
#define roundsAt   832

#define keys R8
#define in SI
#define out DI
#define left CX          // bytes from in to the end of the text
#define aad R9
#define aadLeft R10
#define firstIn R9       // where vector 0 of the unit is read
#define firstOut R10     // and written
#define power R11        // where the power of H for the next block is
#define firstHashed R12  // where vector 0 of the unit is that seal has to hash
#define at R13           // where take reads and put writes
#define count AX         // how many bytes
#define whole BX         // bytes of the slice that ends there
#define spare DX

#define text0 Y0         // counter blocks, then key stream, then output
#define text1 Y1
#define text2 Y2
#define text3 Y3
#define text4 Y4
#define text5 Y5
#define text6 Y6
#define text7 Y7
#define roundKey Y8      // a round key, twice
#define temp0 Y9
#define temp0X X9
#define temp1 Y10
#define temp1X X10
#define temp2 Y11
#define temp2X X11
#define low Y12          // two products
#define lowX X12
#define middle Y13
#define high Y14
#define highX X14
#define hash Y14         // the state of GHASH, when low, middle and high are folded
#define hashX X14
#define reverse Y15      // the order of bytes for VPSHUFB
#define reverseX X15

// CLEAR begins a sum of products.
#define CLEAR \
	VPXOR low, low, low          \
	VPXOR middle, middle, middle \
	VPXOR high, high, high

// MULTIPLY_ADD adds the products of the blocks of x and p. middle lacks low and high until REDUCE, as Karatsuba has it:
// (a+b)(c+d) = ac + (ad+bc) + bd. x and p are lost.
#define MULTIPLY_ADD(x, p) \
	VPCLMULQDQ $0x00, p, x, temp2 \
	VPXOR      temp2, low, low    \
	VPCLMULQDQ $0x11, p, x, temp2 \
	VPXOR      temp2, high, high  \
	VPSHUFD    $0x4e, x, temp2    \
	VPXOR      temp2, x, x        \
	VPSHUFD    $0x4e, p, temp2    \
	VPXOR      temp2, p, p        \
	VPCLMULQDQ $0x00, p, x, temp2 \
	VPXOR      temp2, middle, middle

// REDUCE takes the sum modulo the polynomial, into high. A multiple of the modulus
// that makes the lowest 64 bits vanish is added, twice; what is left is a product
// divided by x^128, as it has to be with bits in reverse.
#define REDUCE \
	VPXOR      low, middle, middle                \
	VPCLMULQDQ $0x10, ·modulus(SB), low, temp0    \
	VPXOR      high, middle, middle               \
	VPSHUFD    $0x4e, low, low                    \
	VPXOR      low, middle, middle                \
	VPXOR      temp0, middle, middle              \
	VPCLMULQDQ $0x10, ·modulus(SB), middle, temp0 \
	VPSHUFD    $0x4e, middle, middle              \
	VPXOR      middle, high, high                 \
	VPXOR      temp0, high, high

// FOLD adds the two sums. The new state is in place 0; place 1 is zero.
#define FOLD \
	VEXTRACTI128 $1, high, temp0X \
	VPXOR        temp0X, highX, hashX
