// What the assembly files share: the layout of keys, the names of registers, and
// arithmetic. The plan is at the head of avx512_amd64.s.

// Where things are in keys (gcm_amd64.go): H^33 … H^1, after as many empty bytes as
// let H^32 begin a cache line; then for each pair of vectors of a unit's powers the
// sums of their halves, then round keys. A load of 64 bytes at H^k gives H^k …
// H^(k-3); one that reaches past H^1 gives sums, too, which then meet blocks of zero.
#define powersUnit 64  // H^32
#define powersOne  560 // H^1
#define powersEnd  576
#define sumsAt     576
#define roundsAt   832

#define keys R8
#define in SI
#define out DI
#define left CX          // bytes from in to the end of the text
#define aad R9
#define aadLeft R10
#define power R11        // where the power of H for the next block is
#define half R12         // 32 while vector 0 lies ahead, then 0
#define halfHashed R13   // the same for the unit that seal has to hash
#define count AX
#define mask DX

#define lead K1          // 0 while vector 0 lies ahead, then ones
#define leadHashed K2    // the same for the unit that seal has to hash
#define bytes K3         // the bytes of a vector that are there
#define lower K4         // those of its lower half
#define upper K5         // those of its upper half
#define other K6

#define text0 Z0         // counter blocks, then key stream, then output
#define text0X X0
#define text0Y Y0
#define text1 Z1
#define text2 Z2
#define text3 Z3
#define text4 Z4
#define text5 Z5
#define text6 Z6
#define text7 Z7
#define temp0 Z8
#define temp0X X8
#define temp0Y Y8
#define temp1 Z9
#define temp1Y Y9
#define temp2 Z10
#define temp3 Z11
#define low Z12          // four products
#define middle Z13
#define high Z14
#define highX X14
#define highY Y14
#define hash Z14         // the state of GHASH, when low, middle and high are folded
#define hashX X14
#define tagMaskX X15     // E(K, J0)
#define counter Z16      // the unit's first counter block, bytes reversed, four times
#define counterX X16
#define reverse Z17      // the order of bytes for VPSHUFB
#define reverseX X17
#define key1 Z18         // a round key, four times; the first stays in memory
#define key2 Z19
#define key3 Z20
#define key4 Z21
#define key5 Z22
#define key6 Z23
#define key7 Z24
#define key8 Z25
#define key9 Z26
#define key10 Z27
#define key11 Z28
#define key12 Z29
#define key13 Z30
#define key14 Z31

// CLEAR begins a sum of products.
#define CLEAR \
	VPXORQ low, low, low          \
	VPXORQ middle, middle, middle \
	VPXORQ high, high, high

// MULTIPLY_ADD adds the products of the blocks of x and p. middle lacks low and high
// until REDUCE, as Karatsuba has it: (a+b)(c+d) = ac + (ad+bc) + bd.
#define MULTIPLY_ADD(x, p) \
	VPCLMULQDQ $0x00, p, x, temp2         \
	VPCLMULQDQ $0x11, p, x, temp3         \
	VPXORQ     temp2, low, low            \
	VPXORQ     temp3, high, high          \
	VPSHUFD    $0x4e, p, temp2            \
	VPSHUFD    $0x4e, x, temp3            \
	VPXORQ     temp2, p, temp2            \
	VPXORQ     temp3, x, temp3            \
	VPCLMULQDQ $0x00, temp2, temp3, temp2 \
	VPXORQ     temp2, middle, middle

// REDUCE takes the sum modulo the polynomial, into high. A multiple of the modulus
// that makes the lowest 64 bits vanish is added, twice; what is left is a product
// divided by x^128, as it has to be with bits in reverse.
#define REDUCE \
	VPTERNLOGD $0x96, low, high, middle           \
	VPCLMULQDQ $0x10, ·modulus(SB), low, temp0    \
	VPSHUFD    $0x4e, low, low                    \
	VPTERNLOGD $0x96, temp0, low, middle          \
	VPCLMULQDQ $0x10, ·modulus(SB), middle, temp0 \
	VPSHUFD    $0x4e, middle, middle              \
	VPTERNLOGD $0x96, temp0, middle, high

// FOLD adds the four sums. The new state is in place 0; the others are zero.
#define FOLD \
	VEXTRACTI64X4 $1, high, temp0Y     \
	VPXORQ        temp0Y, highY, highY \
	VEXTRACTI32X4 $1, highY, temp0X    \
	VPXORQ        temp0X, highX, hashX

// LOAD_KEYS loads what stays in registers throughout.
#define LOAD_KEYS \
	VBROADCASTI32X4 (roundsAt+0x10)(keys), key1  \
	VBROADCASTI32X4 (roundsAt+0x20)(keys), key2  \
	VBROADCASTI32X4 (roundsAt+0x30)(keys), key3  \
	VBROADCASTI32X4 (roundsAt+0x40)(keys), key4  \
	VBROADCASTI32X4 (roundsAt+0x50)(keys), key5  \
	VBROADCASTI32X4 (roundsAt+0x60)(keys), key6  \
	VBROADCASTI32X4 (roundsAt+0x70)(keys), key7  \
	VBROADCASTI32X4 (roundsAt+0x80)(keys), key8  \
	VBROADCASTI32X4 (roundsAt+0x90)(keys), key9  \
	VBROADCASTI32X4 (roundsAt+0xa0)(keys), key10 \
	VBROADCASTI32X4 (roundsAt+0xb0)(keys), key11 \
	VBROADCASTI32X4 (roundsAt+0xc0)(keys), key12 \
	VBROADCASTI32X4 (roundsAt+0xd0)(keys), key13 \
	VBROADCASTI32X4 (roundsAt+0xe0)(keys), key14 \
	VBROADCASTI32X4 ·reversal(SB), reverse

#define ROUND_NARROW(key) \
	VAESENC key, text0, text0 \
	VAESENC key, text1, text1

// ROUNDS_NARROW are the rounds of AES but the last, on two vectors only.
#define ROUNDS_NARROW \
	ROUND_NARROW(key1)  \
	ROUND_NARROW(key2)  \
	ROUND_NARROW(key3)  \
	ROUND_NARROW(key4)  \
	ROUND_NARROW(key5)  \
	ROUND_NARROW(key6)  \
	ROUND_NARROW(key7)  \
	ROUND_NARROW(key8)  \
	ROUND_NARROW(key9)  \
	ROUND_NARROW(key10) \
	ROUND_NARROW(key11) \
	ROUND_NARROW(key12) \
	ROUND_NARROW(key13)
