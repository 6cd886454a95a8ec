// AES-256-GCM on vectors of two blocks, for VAES, VPCLMULQDQ and AVX2: what
// avx512_amd64.s does, whose head explains the method, with half the width, half
// the registers and no masks. What is different:
//
// # Counter mode
//
// Vector 0 has the counters 0 and 1, the second of which is J0, and text begins
// with vector 1, so that no vector is cut in halves:
//
//	vector 0: 0, 1 (J0, for the tag)      vector 1: 2, 3      vector 2: 4, 5      …
//
// A unit is eight vectors, 256 bytes; its first counter is a multiple of 16. Where
// the vector 0 of all would be read there are zeros, and it is written to the
// stack: firstIn, firstOut and firstHashed are pointers of their own for this, and
// in and out begin 32 bytes before the text.
//
// # Registers
//
// Eight vectors and GHASH leave one for round keys, which are loaded for each
// round, doubled on the way. Loads are free beside AES.
//
// # The order of the work
//
// As there. On Zen 3 two rounds of AES start every cycle, but a carry-less
// multiplication is four operations and takes two; so Karatsuba's way pays here
// as well, and the sums of halves are made for two vectors at once.
//
// # The rest
//
// Up to 255 bytes after whole units are one more unit, of which whole vectors are
// read and written as they are. The last part, 1 to 31 bytes, is read by loads of
// 16 bytes that end where the text ends and a shuffle that slides it into place,
// and written by stores that end there: nothing outside the slices is touched.

#include "textflag.h"
#include "avx2_names_amd64.h"
#include "avx2_unit_amd64.h"

// The stack. What is secret of it is wiped in the end.
#define counter 0(SP)  // the unit's first counter block, bytes reversed, twice
#define vector0 32(SP) // what is written instead of vector 0
#define tagMask 48(SP) // E(K, J0), its second half
#define part    64(SP) // the last part of the text, zeros after it

// START reads the arguments, which seal and open have in the same places, goes to
// overlap if dst and src are neither apart nor begin together, and sets up the counter.
#define START \
	MOVQ           k+0(FP), keys            \
	MOVQ           dst_base+8(FP), out      \
	MOVQ           src_base+32(FP), in      \
	MOVQ           src_len+40(FP), left     \
	TESTQ          left, left               \
	JEQ            apart                    \
	CMPQ           in, out                  \
	JEQ            apart                    \
	LEAQ           (in)(left*1), AX         \
	CMPQ           AX, out                  \
	JLS            apart                    \
	MOVQ           dst_len+16(FP), AX       \
	ADDQ           out, AX                  \
	CMPQ           AX, in                   \
	JHI            overlap                  \
apart:                                          \
	MOVQ           nonce+56(FP), AX         \
	MOVQ           aad_base+64(FP), aad     \
	MOVQ           aad_len+72(FP), aadLeft  \
	MOVL           8(AX), DX                \
	MOVQ           (AX), BX                 \
	BSWAPQ         DX                       \
	BSWAPQ         BX                       \
	VMOVQ          DX, temp0X               \
	VPINSRQ        $1, BX, temp0X, temp0X   \
	VINSERTI128    $1, temp0X, temp0, temp0 \
	VMOVDQU        temp0, counter           \
	VBROADCASTI128 ·reversal(SB), reverse   \
	SUBQ           $32, in                  \
	SUBQ           $32, out                 \
	ADDQ           $32, left                \
	VPXOR          hash, hash, hash

// HASH_AAD hashes the associated data but for its last block, up to two blocks at
// a time, and puts the last into place 1, before the first block of text.
#define HASH_AAD \
	MOVQ        aadLeft, whole              \
	CMPQ        aadLeft, $16                \
	JEQ         aadBlock                    \
	JCS         aadPart                     \
aadNext:                                        \
	VMOVDQU     (aad), temp0X               \
	VMOVDQU     powersOne(keys), temp1X     \
	MOVL        $16, count                  \
	CMPQ        aadLeft, $32                \
	JLS         aadMultiply                 \
	VMOVDQU     (aad), temp0                \
	VMOVDQU     (powersOne-16)(keys), temp1 \
	MOVL        $32, count                  \
aadMultiply:                                    \
	VPSHUFB     reverse, temp0, temp0       \
	VPXOR       hash, temp0, temp0          \
	CLEAR                                   \
	MULTIPLY_ADD(temp0, temp1)              \
	REDUCE                                  \
	FOLD                                    \
	ADDQ        count, aad                  \
	SUBQ        count, aadLeft              \
	CMPQ        aadLeft, $16                \
	JHI         aadNext                     \
	JEQ         aadBlock                    \
aadPart:                                        \
	MOVQ        aad, at                     \
	MOVQ        aadLeft, count              \
	TESTQ       count, count                \
	JZ          aadDone                     \
	CALL        take<>(SB)                  \
	JMP         aadLast                     \
aadBlock:                                       \
	VMOVDQU     (aad), temp0X               \
aadLast:                                        \
	VPSHUFB     reverseX, temp0X, temp0X    \
	VPXOR       hashX, temp0X, temp0X       \
	VPXOR       hash, hash, hash            \
	VINSERTI128 $1, temp0X, hash, hash      \
aadDone:                                        \
	LEAQ        ·empty(SB), firstIn         \
	LEAQ        vector0, firstOut           \
	LEAQ        ·empty(SB), firstHashed

// PART sets at and count to the bytes that the rest has after its whole vectors,
// goes to none if there are none, and sets whole for take and put.
#define PART(base, none) \
	MOVQ left, count           \
	MOVQ left, at              \
	MOVQ src_len+40(FP), whole \
	ANDQ $-32, at              \
	ADDQ base, at              \
	ANDL $31, count            \
	JZ   none

// REST_TAKE saves that part of the input, before anything is written. done is a
// label of its own for every use.
#define REST_TAKE(done) \
	PART(in, done)      \
	CALL    take<>(SB)  \
	VMOVDQU temp0, part \
done:

// REST_LAST_OF is LAST for the i-th vector of the rest, if it is whole.
#define REST_LAST_OF(i, text, src, dst) \
	VMOVDQA     text, temp1          \
	CMPQ        left, $(32*i+32)     \
	JLT         lastPart             \
	VPXOR       src, roundKey, temp0 \
	VAESENCLAST temp0, text, text    \
	VMOVDQU     text, dst

// REST_LAST is LAST for the rest. It leaves the last part of the output in part.
#define REST_LAST \
	VBROADCASTI128 (roundsAt+16*14)(keys), roundKey \
	REST_LAST_OF(0, text0, (firstIn), (firstOut))   \
	REST_LAST_OF(1, text1, 32(in), 32(out))         \
	REST_LAST_OF(2, text2, 64(in), 64(out))         \
	REST_LAST_OF(3, text3, 96(in), 96(out))         \
	REST_LAST_OF(4, text4, 128(in), 128(out))       \
	REST_LAST_OF(5, text5, 160(in), 160(out))       \
	REST_LAST_OF(6, text6, 192(in), 192(out))       \
	VMOVDQA        text7, temp1                     \
lastPart:                                               \
	PART(out, lastDone)                             \
	VPXOR          part, roundKey, temp0            \
	VAESENCLAST    temp0, temp1, temp1              \
	LEAQ           ·ones+32(SB), spare              \
	SUBQ           count, spare                     \
	VPAND          (spare), temp1, temp1            \
	VMOVDQU        temp1, part                      \
	CALL           put<>(SB)                        \
lastDone:

// REST_HASH adds up the products of the rest, vector by vector, whose ciphertext is
// in memory but for the last part. Only vector 0 meets the state of GHASH, which
// waits in roundKey. power begins one higher than for whole units: the block of
// lengths has H^1. from is lost.
#define REST_HASH(first, from) \
	LEAQ    15(left), power                   \
	ANDQ    $-16, power                       \
	NEGQ    power                             \
	LEAQ    (powersOne)(power)(keys*1), power \
	MOVQ    left, spare                       \
	MOVQ    first, at                         \
	VMOVDQA hash, roundKey                    \
	CLEAR                                     \
hashNext:                                         \
	VMOVDQU part, temp0                       \
	CMPQ    spare, $32                        \
	JLT     hashPart                          \
	VMOVDQU (at), temp0                       \
hashPart:                                         \
	ADDQ    $32, from                         \
	MOVQ    from, at                          \
	VMOVDQU (power), temp1                    \
	ADDQ    $32, power                        \
	VPSHUFB reverse, temp0, temp0             \
	VPXOR   roundKey, temp0, temp0            \
	VPXOR   roundKey, roundKey, roundKey      \
	MULTIPLY_ADD(temp0, temp1)                \
	SUBQ    $32, spare                        \
	JGT     hashNext

// LENGTHS makes the last block of GHASH, bytes reversed (7.1, step 5).
#define LENGTHS \
	MOVQ    src_len+40(FP), AX \
	MOVQ    aad_len+72(FP), DX \
	SHLQ    $3, AX             \
	SHLQ    $3, DX             \
	VMOVQ   AX, temp0X         \
	VPINSRQ $1, DX, temp0X, temp0X

// FINISH leaves the tag in hashX but for the mask (7.1, steps 5 and 6).
#define FINISH \
	VMOVDQU powersOne(keys), temp1X \
	MULTIPLY_ADD(temp0, temp1)      \
	REDUCE                          \
	FOLD                            \
	VPSHUFB reverseX, hashX, hashX

// WIPE forgets what the stack has of key stream and text.
#define WIPE \
	VPXOR   temp0, temp0, temp0 \
	VMOVDQU temp0, vector0      \
	VMOVDQU temp0, part

// func seal256(k *keys, dst, src []byte, nonce *[12]byte, aad []byte) bool
TEXT ·seal256(SB), NOSPLIT, $96-89
	START
	HASH_AAD
	SUBQ $256, left
	JB   short

	// The first unit has nothing before it to hash.
	COUNT
	ROUNDS
	LAST
next:
	SUBQ $256, left
	JB   last
	COUNT
	ROUNDS_HASH(firstHashed, -256, out)
	MOVQ out, firstHashed
	LAST
	JMP  next

	// The last whole unit is hashed beside the rest, if there is any.
last:
	ADDQ $256, left
	JZ   even
	REST_TAKE(taken)
	COUNT
	ROUNDS_HASH(firstHashed, -256, out)
	JMP  rest

even:
	HASH(firstHashed, -256, out)
	LENGTHS
	VPXOR hash, temp0, temp0
	CLEAR
	JMP  finish

	// No whole unit at all: vector 0 is the rest's.
short:
	ADDQ $256, left
	REST_TAKE(takenShort)
	COUNT
	CMPQ left, $128
	JLE  narrow
	ROUNDS
	JMP  rest
narrow:
	ROUNDS_NARROW
rest:
	REST_LAST

	// Vector 0 of all is zeros for GHASH; firstIn still points at them then.
	CMPQ    firstOut, out
	CMOVQEQ out, firstIn
	REST_HASH(firstIn, out)
	LENGTHS

finish:
	FINISH
	VPXOR   tagMask, hashX, hashX
	MOVQ    dst_base+8(FP), out
	ADDQ    src_len+40(FP), out
	VMOVDQU hashX, (out)
	WIPE
	VZEROUPPER
	MOVB    $1, ret+88(FP)
	RET

overlap:
	MOVB $0, ret+88(FP)
	RET

// func open256(k *keys, dst, src []byte, nonce *[12]byte, aad []byte, tag *[16]byte) bool
TEXT ·open256(SB), NOSPLIT, $96-97
	START
	HASH_AAD
	SUBQ $256, left
	JB   short

next:
	COUNT
	ROUNDS_HASH(firstIn, 0, in)
	LAST
	SUBQ $256, left
	JAE  next
	ADDQ $256, left
	JNZ  rest

	// Nothing is left but the block of lengths.
	LENGTHS
	VPXOR hash, temp0, temp0
	CLEAR
	FINISH
	JMP    finish

short:
	ADDQ $256, left
rest:
	REST_TAKE(taken)
	COUNT
	CMPQ left, $128
	JLE  narrow
	ROUNDS
	JMP  rounded
narrow:
	ROUNDS_NARROW

	// AES goes first, because it has few instructions and waits for most of them.
rounded:
	MOVQ in, firstHashed
	REST_HASH(firstIn, firstHashed)
	LENGTHS
	FINISH
	REST_LAST

finish:
	VPXOR   tagMask, hashX, hashX
	MOVQ    tag+88(FP), AX
	VMOVDQU hashX, (AX)
	WIPE
	VZEROUPPER
	MOVB    $1, ret+96(FP)
	RET

overlap:
	MOVB $0, ret+96(FP)
	RET

// take puts count bytes from at, 1 to 31, into temp0, and zeros after them. whole
// is the length of the slice that ends there: nothing before it is read.
TEXT take<>(SB), NOSPLIT|NOFRAME, $0
	CMPQ        count, $16
	JGE         most
	CMPQ        whole, $16
	JLT         few
	LEAQ        ·slide+32(SB), spare
	SUBQ        count, spare
	VMOVDQU     -16(at)(count*1), temp0X
	VPSHUFB     (spare), temp0X, temp0X
	RET
most:
	LEAQ        ·slide+48(SB), spare
	SUBQ        count, spare
	VMOVDQU     (at), temp0X
	VMOVDQU     -16(at)(count*1), temp1X
	VPSHUFB     (spare), temp1X, temp1X
	VINSERTI128 $1, temp1X, temp0, temp0
	RET

	// The slice is shorter than a load: byte by byte, from the last.
few:
	XORL        whole, whole
	XORL        spare, spare
byte:
	SHLQ        $8, spare, whole
	SHLQ        $8, spare
	MOVB        -1(at)(count*1), spare
	DECQ        count
	JNZ         byte
	VMOVQ       spare, temp0X
	VPINSRQ     $1, whole, temp0X, temp0X
	RET

// put writes the first count bytes of temp1, 1 to 31, to at; the others are zero.
// whole is the length of the text that ends there: what the last store covers of
// the block before is written once more as it is.
TEXT put<>(SB), NOSPLIT|NOFRAME, $0
	LEAQ         ·slide(SB), spare
	ADDQ         count, spare
	CMPQ         count, $16
	JGE          most
	CMPQ         whole, $16
	JLT          few
	VMOVDQU      -16(at), temp0X
	JMP          slid
most:
	SUBQ         $16, spare
	VMOVDQU      temp1X, (at)
	VMOVDQA      temp1X, temp0X
	VEXTRACTI128 $1, temp1, temp1X
slid:
	VPSHUFB      16(spare), temp0X, temp0X
	VPSHUFB      (spare), temp1X, temp1X
	VPOR         temp1X, temp0X, temp0X
	VMOVDQU      temp0X, -16(at)(count*1)
	RET
few:
	VMOVQ        temp1X, spare
	VPEXTRQ      $1, temp1X, whole
byte:
	MOVB         spare, (at)
	SHRQ         $8, whole, spare
	SHRQ         $8, whole
	INCQ         at
	DECQ         count
	JNZ          byte
	RET
