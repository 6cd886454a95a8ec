// AES-256-GCM on vectors of four blocks, for VAES, VPCLMULQDQ and AVX-512.
//
// Sections are those of NIST SP 800-38D unless another text is named. Operands are
// in Go's order, the reverse of Intel's: what is written comes last.
//
// # Counter mode
//
// The counter blocks of a message are cut into vectors of four, beginning with the
// counter 0, which GCM does not use:
//
//	vector 0: 0, 1 (J0, for the tag), 2, 3      vector 1: 4, 5, 6, 7      …
//
// So a vector's first counter is a multiple of four and a unit's, of eight vectors,
// a multiple of 32, and counter blocks are made by XOR with constants instead of
// additions and a change of byte order for each. E(K, J0) costs nothing. The price
// is that text begins in the middle of vector 0: in and out point 32 bytes before
// their next byte of text at first, and vector 0 is read and written by its halves.
//
// # GHASH
//
// The vectors of ciphertext go into GHASH as they are: places 0 and 1 of vector 0
// are free for the state of GHASH before, which holds the associated data. A whole
// unit is multiplied by H^32 … H^1, block by block, and reduced once.
//
// Bytes of blocks are reversed, so that the bits of a block in a register are the
// reverse of GCM's order. The product of two such polynomials of degree 127 comes
// out shifted down by one bit, 255 bits in the place of 256; the powers are stored
// divided by x to make up for it (Gueron and Kounaris, "Intel Carry-Less
// Multiplication Instruction and its Usage for Computing the GCM Mode").
//
// Multiplication is Karatsuba's, three instructions instead of four: on Zen 5 one
// starts every other cycle, but two rounds of AES in each. The three parts of a
// product, low + middle·x^64 + high·x^128, are summed before anything is reduced.
//
// # Order of the work
//
// A round of AES on eight vectors takes the processor as long as one of them has to
// wait for its result, so eight keep it busy. Between the rounds stand the pieces of
// GHASH: open hashes the unit that it decrypts, seal the one that it encrypted
// before. What remains after whole units, up to 511 bytes, is one more unit whose
// loads and stores have masks; it stops early where there is little.

#include "textflag.h"
#include "avx512_names_amd64.h"
#include "avx512_unit_amd64.h"

// MASK sets bytes to the first count of a vector, at most 64.
#define MASK \
	MOVQ  $-1, mask         \
	BZHIQ count, mask, mask \
	KMOVQ mask, bytes

// POWER points power at H^b, where n bytes begin b blocks.
#define POWER(n) \
	LEAQ 15(n), power \
	ANDQ $-16, power  \
	NEGQ power        \
	LEAQ powersEnd(power)(keys*1), power

// START reads the arguments, which seal and open have in the same places, goes to
// overlap if dst and src are neither apart nor begin together, and sets up the counter.
#define START \
	MOVQ       k+0(FP), keys                 \
	MOVQ       dst_base+8(FP), out           \
	MOVQ       src_base+32(FP), in           \
	MOVQ       src_len+40(FP), left          \
	TESTQ      left, left                    \
	JEQ        apart                         \
	CMPQ       in, out                       \
	JEQ        apart                         \
	LEAQ       (in)(left*1), AX              \
	CMPQ       AX, out                       \
	JLS        apart                         \
	MOVQ       dst_len+16(FP), AX            \
	ADDQ       out, AX                       \
	CMPQ       AX, in                        \
	JHI        overlap                       \
apart:                                       \
	MOVQ       nonce+56(FP), AX              \
	MOVQ       aad_base+64(FP), aad          \
	MOVQ       aad_len+72(FP), aadLeft       \
	LOAD_KEYS                                \
	MOVL       $0x0fff, mask                 \
	KMOVQ      mask, bytes                   \
	VMOVDQU8.Z (AX), bytes, counterX         \
	VPSHUFB    reverseX, counterX, counterX  \
	VSHUFI32X4 $0, counter, counter, counter \
	SUBQ       $32, in                       \
	SUBQ       $32, out                      \
	ADDQ       $32, left                     \
	MOVL       $32, half                     \
	KXORQ      lead, lead, lead              \
	VPXORQ     hash, hash, hash

// HASH_AAD hashes the associated data but for its last block, up to four blocks at
// a time, and puts the last into place 1, before the first block of text.
#define HASH_AAD \
	TESTQ        aadLeft, aadLeft         \
	JZ           aadDone                  \
	CMPQ         aadLeft, $16             \
	JLS          aadLast                  \
aadNext:                                  \
	LEAQ         -1(aadLeft), count       \
	ANDQ         $-16, count              \
	MOVL         $64, mask                \
	CMPQ         mask, count              \
	CMOVQLT      mask, count              \
	MASK                                  \
	VMOVDQU8.Z   (aad), bytes, temp0      \
	POWER(count)                          \
	VMOVDQU64    (power), temp1           \
	VPSHUFB      reverse, temp0, temp0    \
	VPXORQ       hash, temp0, temp0       \
	CLEAR                                 \
	MULTIPLY_ADD(temp0, temp1)            \
	REDUCE                                \
	FOLD                                  \
	ADDQ         count, aad               \
	SUBQ         count, aadLeft           \
	CMPQ         aadLeft, $16             \
	JHI          aadNext                  \
aadLast:                                  \
	MOVQ         aadLeft, count           \
	MASK                                  \
	VMOVDQU8.Z   (aad), bytes, temp0X     \
	VPSHUFB      reverseX, temp0X, temp0X \
	VPXORQ       temp0X, hashX, temp0X    \
	VPXORQ       hash, hash, hash         \
	VINSERTI32X4 $1, temp0X, hash, hash   \
aadDone:

// REST_MASKS writes the masks of the rest's eight vectors to the stack: whole ones,
// that of the last, empty ones. bytes, lower and upper are for vector 0 of the rest.
#define REST_MASKS \
	MOVQ      left, mask           \
	SHRQ      $6, mask             \
	LEAQ      ·masks+64(SB), power \
	LEAQ      (mask*8), count      \
	SUBQ      count, power         \
	VMOVDQU64 (power), temp0       \
	VMOVDQU64 temp0, 0(SP)         \
	LEAQ      0(SP)(mask*8), power \
	MOVQ      left, count          \
	ANDQ      $63, count           \
	MOVQ      $-1, mask            \
	BZHIQ     count, mask, mask    \
	MOVQ      mask, (power)        \
	KMOVQ     0(SP), bytes         \
	KSHIFTRQ  $32, bytes, upper    \
	KANDQ     lead, bytes, lower   \
	KUNPCKDQ  lower, upper, bytes  \
	POWER(left)                    \
	SUBQ      $16, power // the block of lengths has H^1

// REST_LOAD takes vector 0 of the rest into temp0.
#define REST_LOAD \
	VMOVDQU8.Z   (in)(half*1), lower, temp0Y \
	VMOVDQU8.Z   32(in), upper, temp1Y       \
	VINSERTI64X4 $1, temp1Y, temp0, temp0

#define REST_LAST_OF(i, text) \
	CMPQ        left, $(64*i)          \
	JLE         lastDone               \
	KMOVQ       8*i(SP), other         \
	VMOVDQU8.Z  64*i(in), other, temp1 \
	VPXORQ      key14, temp1, temp1    \
	VAESENCLAST temp1, text, text      \
	VMOVDQU8    text, other, 64*i(out)

// REST_LAST is LAST for the rest. Vectors of which nothing is there are left out,
// because an access that has to be masked off a missing page takes a few hundred
// cycles; the last vector that is there may still meet one.
#define REST_LAST \
	REST_LOAD                                  \
	VPXORQ        key14, temp0, temp0          \
	VAESENCLAST   temp0, text0, text0          \
	TAG_MASK                                   \
	VEXTRACTI64X4 $1, text0, temp0Y            \
	VMOVDQU8      text0Y, lower, (out)(half*1) \
	VMOVDQU8      temp0Y, upper, 32(out)       \
	REST_LAST_OF(1, text1)                     \
	REST_LAST_OF(2, text2)                     \
	REST_LAST_OF(3, text3)                     \
	REST_LAST_OF(4, text4)                     \
	REST_LAST_OF(5, text5)                     \
	REST_LAST_OF(6, text6)                     \
	REST_LAST_OF(7, text7)                     \
lastDone:

#define REST_HASH_OF(i, x) \
	CMPQ       left, $(64*i)         \
	JLE        hashDone              \
	KMOVQ      8*i(SP), other        \
	VMOVDQU8.Z x, other, temp0       \
	VMOVDQU64  64*i(power), temp1    \
	VPSHUFB    reverse, temp0, temp0 \
	MULTIPLY_ADD(temp0, temp1)

// REST_HASH adds up the products of the rest, whose vector 0 is in temp0.
#define REST_HASH(x1, x2, x3, x4, x5, x6, x7) \
	VPSHUFB   reverse, temp0, temp0 \
	VMOVDQU64 (power), temp1        \
	VPXORQ    hash, temp0, temp0    \
	CLEAR                           \
	MULTIPLY_ADD(temp0, temp1)      \
	REST_HASH_OF(1, x1)             \
	REST_HASH_OF(2, x2)             \
	REST_HASH_OF(3, x3)             \
	REST_HASH_OF(4, x4)             \
	REST_HASH_OF(5, x5)             \
	REST_HASH_OF(6, x6)             \
	REST_HASH_OF(7, x7)             \
hashDone:

// LENGTHS makes the last block of GHASH, bytes reversed (7.1, step 5).
#define LENGTHS \
	MOVQ    src_len+40(FP), AX \
	MOVQ    aad_len+72(FP), DX \
	SHLQ    $3, AX             \
	SHLQ    $3, DX             \
	VMOVQ   AX, temp0X         \
	VPINSRQ $1, DX, temp0X, temp0X

// FINISH leaves the tag in hashX (7.1, steps 5 and 6).
#define FINISH \
	VMOVDQU64 powersOne(keys), temp1 \
	MULTIPLY_ADD(temp0, temp1)       \
	REDUCE                           \
	FOLD                             \
	VPSHUFB   reverseX, hashX, hashX \
	VPXORQ    tagMaskX, hashX, hashX

// func seal512(k *keys, dst, src []byte, nonce *[12]byte, aad []byte) bool
TEXT ·seal512(SB), NOSPLIT, $64-89
	START
	HASH_AAD
	SUBQ $512, left
	JB   short

	// The first unit has nothing before it to hash.
	COUNT
	ROUNDS
	LAST
next:
	SUBQ $512, left
	JB   last
	COUNT
	ROUNDS_HASH(leadHashed, halfHashed, -512, out)
	LAST
	JMP  next

	// The last whole unit is hashed beside the rest, if there is any.
last:
	ADDQ $512, left
	JZ   nothing
	REST_MASKS
	COUNT
	ROUNDS_HASH(leadHashed, halfHashed, -512, out)
	JMP  rest

nothing:
	HASH(leadHashed, halfHashed, -512, out)
	LENGTHS
	VPXORQ hash, temp0, temp0
	CLEAR
	JMP  finish

	// No whole unit at all: vector 0 is the rest's.
short:
	ADDQ $512, left
	REST_MASKS
	COUNT
	CMPQ left, $128
	JLE  narrow
	ROUNDS
	JMP  rest
narrow:
	ROUNDS_NARROW
rest:
	REST_LAST
	VMOVDQU8.Z text0, bytes, temp0
	REST_HASH(text1, text2, text3, text4, text5, text6, text7)
	LENGTHS

finish:
	FINISH
	MOVQ    dst_base+8(FP), out
	ADDQ    src_len+40(FP), out
	VMOVDQU hashX, (out)
	VZEROUPPER
	MOVB    $1, ret+88(FP)
	RET

overlap:
	MOVB $0, ret+88(FP)
	RET

// func open512(k *keys, dst, src []byte, nonce *[12]byte, aad []byte, tag *[16]byte) bool
TEXT ·open512(SB), NOSPLIT, $64-97
	START
	HASH_AAD
	SUBQ $512, left
	JB   short

next:
	COUNT
	ROUNDS_HASH(lead, half, 0, in)
	LAST
	SUBQ $512, left
	JAE  next
	ADDQ $512, left
	JNZ  rest

	// Nothing is left but the block of lengths.
	LENGTHS
	VPXORQ hash, temp0, temp0
	CLEAR
	JMP    finish

short:
	ADDQ $512, left
rest:
	REST_MASKS
	COUNT
	REST_LOAD
	REST_HASH(64(in), 128(in), 192(in), 256(in), 320(in), 384(in), 448(in))
	CMPQ left, $128
	JLE  narrow
	ROUNDS
	JMP  opened
narrow:
	ROUNDS_NARROW
opened:
	REST_LAST
	LENGTHS

finish:
	FINISH
	MOVQ    tag+88(FP), AX
	VMOVDQU hashX, (AX)
	VZEROUPPER
	MOVB    $1, ret+96(FP)
	RET

overlap:
	MOVB $0, ret+96(FP)
	RET
