// What is done to a unit, eight vectors of two blocks. The plan is at the head of
// avx2_amd64.s.

// COUNT makes the counter blocks of a unit and adds the first round key.
#define COUNT \
	VMOVDQU        counter, temp0                 \
	VPSHUFB        reverse, temp0, temp1          \
	VPADDD         ·plus16(SB), temp0, temp0      \
	VMOVDQU        temp0, counter                 \
	VBROADCASTI128 roundsAt(keys), roundKey       \
	VPXOR          roundKey, temp1, text0         \
	VPXOR          ·offsets+32(SB), text0, text1  \
	VPXOR          ·offsets+64(SB), text0, text2  \
	VPXOR          ·offsets+96(SB), text0, text3  \
	VPXOR          ·offsets+128(SB), text0, text4 \
	VPXOR          ·offsets+160(SB), text0, text5 \
	VPXOR          ·offsets+192(SB), text0, text6 \
	VPXOR          ·offsets+224(SB), text0, text7 \
	VPXOR          ·offsets+0(SB), text0, text0

// ROUND is the i-th round of AES on a unit.
#define ROUND(i) \
	VBROADCASTI128 (roundsAt+16*i)(keys), roundKey \
	VAESENC        roundKey, text0, text0          \
	VAESENC        roundKey, text1, text1          \
	VAESENC        roundKey, text2, text2          \
	VAESENC        roundKey, text3, text3          \
	VAESENC        roundKey, text4, text4          \
	VAESENC        roundKey, text5, text5          \
	VAESENC        roundKey, text6, text6          \
	VAESENC        roundKey, text7, text7

#define ROUNDS \
	ROUND(1)  \
	ROUND(2)  \
	ROUND(3)  \
	ROUND(4)  \
	ROUND(5)  \
	ROUND(6)  \
	ROUND(7)  \
	ROUND(8)  \
	ROUND(9)  \
	ROUND(10) \
	ROUND(11) \
	ROUND(12) \
	ROUND(13)

// LAST is the last round, text added: what AESENCLAST adds at its end may as well
// be the sum of round roundKey and text.
#define LAST \
	VBROADCASTI128 (roundsAt+16*14)(keys), roundKey \
	VPXOR       (firstIn), roundKey, temp0          \
	VPXOR       32(in), roundKey, temp1             \
	VAESENCLAST temp0, text0, text0                 \
	VAESENCLAST temp1, text1, text1                 \
	VPXOR       64(in), roundKey, temp0             \
	VPXOR       96(in), roundKey, temp1             \
	VAESENCLAST temp0, text2, text2                 \
	VAESENCLAST temp1, text3, text3                 \
	VPXOR       128(in), roundKey, temp0            \
	VPXOR       160(in), roundKey, temp1            \
	VAESENCLAST temp0, text4, text4                 \
	VAESENCLAST temp1, text5, text5                 \
	VPXOR       192(in), roundKey, temp0            \
	VPXOR       224(in), roundKey, temp1            \
	VAESENCLAST temp0, text6, text6                 \
	VAESENCLAST temp1, text7, text7                 \
	VMOVDQU     text0, (firstOut)                   \
	VMOVDQU     text1, 32(out)                      \
	VMOVDQU     text2, 64(out)                      \
	VMOVDQU     text3, 96(out)                      \
	VMOVDQU     text4, 128(out)                     \
	VMOVDQU     text5, 160(out)                     \
	VMOVDQU     text6, 192(out)                     \
	VMOVDQU     text7, 224(out)                     \
	ADDQ        $256, in                            \
	ADDQ        $256, out                           \
	MOVQ        in, firstIn                         \
	MOVQ        out, firstOut

// HASH_FIRST begins the hash of a unit with its first two vectors.
#define HASH_FIRST(first, at, from) \
	VMOVDQU (first), temp0        \
	VMOVDQU (at+32)(from), temp1  \
	VPSHUFB reverse, temp0, temp0 \
	VPSHUFB reverse, temp1, temp1 \
	VPXOR   hash, temp0, temp0

// HASH_LOAD takes the i-th pair of vectors.
#define HASH_LOAD(i, at, from) \
	VMOVDQU (at+64*i)(from), temp0    \
	VMOVDQU (at+64*i+32)(from), temp1 \
	VPSHUFB reverse, temp0, temp0     \
	VPSHUFB reverse, temp1, temp1

// HASH_ENDS adds to low and high what the i-th pair contributes, HASH_MIDDLE to
// middle; HASH_BEGIN and HASH_MIDDLE_BEGIN are for the first pair, with which the
// sums begin. The sums of the powers' halves lie ready, those of a pair interleaved.
#define HASH_BEGIN \
	VPCLMULQDQ $0x00, powersUnit(keys), temp0, low        \
	VPCLMULQDQ $0x11, powersUnit(keys), temp0, high       \
	VPCLMULQDQ $0x00, (powersUnit+32)(keys), temp1, temp2 \
	VPXOR      temp2, low, low                            \
	VPCLMULQDQ $0x11, (powersUnit+32)(keys), temp1, temp2 \
	VPXOR      temp2, high, high

#define HASH_ENDS(i) \
	VPCLMULQDQ $0x00, (powersUnit+64*i)(keys), temp0, temp2    \
	VPXOR      temp2, low, low                                 \
	VPCLMULQDQ $0x11, (powersUnit+64*i)(keys), temp0, temp2    \
	VPXOR      temp2, high, high                               \
	VPCLMULQDQ $0x00, (powersUnit+64*i+32)(keys), temp1, temp2 \
	VPXOR      temp2, low, low                                 \
	VPCLMULQDQ $0x11, (powersUnit+64*i+32)(keys), temp1, temp2 \
	VPXOR      temp2, high, high

// HASH_HALVES sums the halves of each block of a pair, interleaved.
#define HASH_HALVES \
	VPUNPCKLQDQ temp1, temp0, temp2 \
	VPUNPCKHQDQ temp1, temp0, temp0 \
	VPXOR       temp2, temp0, temp0

#define HASH_MIDDLE_BEGIN \
	HASH_HALVES                                     \
	VPCLMULQDQ $0x00, sumsUnit(keys), temp0, middle \
	VPCLMULQDQ $0x11, sumsUnit(keys), temp0, temp2  \
	VPXOR      temp2, middle, middle

#define HASH_MIDDLE(i) \
	HASH_HALVES                                           \
	VPCLMULQDQ $0x00, (sumsUnit+32*i)(keys), temp0, temp2 \
	VPXOR      temp2, middle, middle                      \
	VPCLMULQDQ $0x11, (sumsUnit+32*i)(keys), temp0, temp2 \
	VPXOR      temp2, middle, middle

// HASH takes a unit into the state of GHASH.
#define HASH(first, at, from) \
	HASH_FIRST(first, at, from) \
	HASH_BEGIN                  \
	HASH_MIDDLE_BEGIN           \
	HASH_LOAD(1, at, from)      \
	HASH_ENDS(1)                \
	HASH_MIDDLE(1)              \
	HASH_LOAD(2, at, from)      \
	HASH_ENDS(2)                \
	HASH_MIDDLE(2)              \
	HASH_LOAD(3, at, from)      \
	HASH_ENDS(3)                \
	HASH_MIDDLE(3)              \
	REDUCE                      \
	FOLD

// ROUNDS_HASH is ROUNDS and HASH at once.
#define ROUNDS_HASH(first, at, from) \
	HASH_FIRST(first, at, from) \
	ROUND(1)                    \
	HASH_BEGIN                  \
	ROUND(2)                    \
	HASH_MIDDLE_BEGIN           \
	ROUND(3)                    \
	HASH_LOAD(1, at, from)      \
	ROUND(4)                    \
	HASH_ENDS(1)                \
	ROUND(5)                    \
	HASH_MIDDLE(1)              \
	ROUND(6)                    \
	HASH_LOAD(2, at, from)      \
	ROUND(7)                    \
	HASH_ENDS(2)                \
	ROUND(8)                    \
	HASH_MIDDLE(2)              \
	ROUND(9)                    \
	HASH_LOAD(3, at, from)      \
	ROUND(10)                   \
	HASH_ENDS(3)                \
	ROUND(11)                   \
	HASH_MIDDLE(3)              \
	ROUND(12)                   \
	REDUCE                      \
	ROUND(13)                   \
	FOLD

// ROUNDS_NARROW are ROUNDS on four vectors only.
#define ROUND_NARROW(i) \
	VBROADCASTI128 (roundsAt+16*i)(keys), roundKey \
	VAESENC        roundKey, text0, text0          \
	VAESENC        roundKey, text1, text1          \
	VAESENC        roundKey, text2, text2          \
	VAESENC        roundKey, text3, text3

#define ROUNDS_NARROW \
	ROUND_NARROW(1)  \
	ROUND_NARROW(2)  \
	ROUND_NARROW(3)  \
	ROUND_NARROW(4)  \
	ROUND_NARROW(5)  \
	ROUND_NARROW(6)  \
	ROUND_NARROW(7)  \
	ROUND_NARROW(8)  \
	ROUND_NARROW(9)  \
	ROUND_NARROW(10) \
	ROUND_NARROW(11) \
	ROUND_NARROW(12) \
	ROUND_NARROW(13)
