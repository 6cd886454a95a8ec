// What is done to a unit, eight vectors of four blocks. The plan is at the head of
// avx512_amd64.s.

// COUNT makes the counter blocks of a unit and adds the first round key.
#define COUNT \
	VBROADCASTI32X4 roundsAt(keys), temp0          \
	VPSHUFB         reverse, counter, temp1        \
	VPADDD          ·plus32(SB), counter, counter  \
	VPXORQ          temp0, temp1, temp1            \
	VPXORQ          ·offsets+0(SB), temp1, text0   \
	VPXORQ          ·offsets+64(SB), temp1, text1  \
	VPXORQ          ·offsets+128(SB), temp1, text2 \
	VPXORQ          ·offsets+192(SB), temp1, text3 \
	VPXORQ          ·offsets+256(SB), temp1, text4 \
	VPXORQ          ·offsets+320(SB), temp1, text5 \
	VPXORQ          ·offsets+384(SB), temp1, text6 \
	VPXORQ          ·offsets+448(SB), temp1, text7

// ROUND is one round of AES on a unit.
#define ROUND(key) \
	VAESENC key, text0, text0 \
	VAESENC key, text1, text1 \
	VAESENC key, text2, text2 \
	VAESENC key, text3, text3 \
	VAESENC key, text4, text4 \
	VAESENC key, text5, text5 \
	VAESENC key, text6, text6 \
	VAESENC key, text7, text7

#define ROUNDS \
	ROUND(key1)  \
	ROUND(key2)  \
	ROUND(key3)  \
	ROUND(key4)  \
	ROUND(key5)  \
	ROUND(key6)  \
	ROUND(key7)  \
	ROUND(key8)  \
	ROUND(key9)  \
	ROUND(key10) \
	ROUND(key11) \
	ROUND(key12) \
	ROUND(key13)

// LAST is the last round, text added: what AESENCLAST adds at its end may as well
// be the sum of round key and text. In vector 0 the place of J0 has no text, so
// that its key stream comes out bare. The lower half of vector 0 is not there; its
// load and store have empty masks, and because the processor is slow where such a
// one meets a page that is missing, they go to the upper half's address.
#define LAST \
	VMOVDQU8.Z    (in)(half*1), lead, temp0Y  \
	VINSERTI64X4  $1, 32(in), temp0, temp0    \
	VPXORQ        temp0, key14, temp0         \
	VPXORQ        64(in), key14, temp1        \
	VPXORQ        128(in), key14, temp2       \
	VPXORQ        192(in), key14, temp3       \
	VAESENCLAST   temp0, text0, text0         \
	VAESENCLAST   temp1, text1, text1         \
	VAESENCLAST   temp2, text2, text2         \
	VAESENCLAST   temp3, text3, text3         \
	VPXORQ        256(in), key14, temp0       \
	VPXORQ        320(in), key14, temp1       \
	VPXORQ        384(in), key14, temp2       \
	VPXORQ        448(in), key14, temp3       \
	VAESENCLAST   temp0, text4, text4         \
	VAESENCLAST   temp1, text5, text5         \
	VAESENCLAST   temp2, text6, text6         \
	VAESENCLAST   temp3, text7, text7         \
	TAG_MASK                                  \
	VEXTRACTI64X4 $1, text0, temp0Y           \
	VMOVDQU8      text0Y, lead, (out)(half*1) \
	VMOVDQU       temp0Y, 32(out)             \
	VMOVDQU64     text1, 64(out)              \
	VMOVDQU64     text2, 128(out)             \
	VMOVDQU64     text3, 192(out)             \
	VMOVDQU64     text4, 256(out)             \
	VMOVDQU64     text5, 320(out)             \
	VMOVDQU64     text6, 384(out)             \
	VMOVDQU64     text7, 448(out)             \
	KMOVQ         lead, leadHashed            \
	MOVQ          half, halfHashed            \
	KXNORQ        lead, lead, lead            \
	XORL          half, half                  \
	ADDQ          $512, in                    \
	ADDQ          $512, out

// TAG_MASK keeps J0's key stream, if this is the first unit.
#define TAG_MASK \
	KNOTQ         lead, other \
	VEXTRACTI32X4 $1, text0, other, tagMaskX

// HASH_FIRST begins the hash of the unit at+from with its first two vectors.
#define HASH_FIRST(lead, half, at, from) \
	VMOVDQU8.Z   at(from)(half*1), lead, temp0Y  \
	VINSERTI64X4 $1, (at+32)(from), temp0, temp0 \
	VMOVDQU64    (at+64)(from), temp1            \
	VPSHUFB      reverse, temp0, temp0           \
	VPSHUFB      reverse, temp1, temp1           \
	VPXORQ       hash, temp0, temp0              \
	CLEAR

// HASH_LOAD takes the i-th pair of vectors.
#define HASH_LOAD(i, at, from) \
	VMOVDQU64 (at+128*i)(from), temp0    \
	VMOVDQU64 (at+128*i+64)(from), temp1 \
	VPSHUFB   reverse, temp0, temp0      \
	VPSHUFB   reverse, temp1, temp1

// HASH_ENDS adds to low and high what the i-th pair contributes, HASH_MIDDLE to
// middle. The sums of the powers' halves lie ready, those of a pair interleaved.
#define HASH_ENDS(i) \
	VPCLMULQDQ $0x00, (powersUnit+128*i)(keys), temp0, temp2    \
	VPCLMULQDQ $0x00, (powersUnit+128*i+64)(keys), temp1, temp3 \
	VPTERNLOGD $0x96, temp2, temp3, low                         \
	VPCLMULQDQ $0x11, (powersUnit+128*i)(keys), temp0, temp2    \
	VPCLMULQDQ $0x11, (powersUnit+128*i+64)(keys), temp1, temp3 \
	VPTERNLOGD $0x96, temp2, temp3, high

#define HASH_MIDDLE(i) \
	VPSHUFD    $0x4e, temp0, temp2                      \
	VPSHUFD    $0x4e, temp1, temp3                      \
	VPXORQ     temp2, temp0, temp0                      \
	VPXORQ     temp3, temp1, temp1                      \
	VPCLMULQDQ $0x00, (sumsAt+64*i)(keys), temp0, temp2 \
	VPCLMULQDQ $0x10, (sumsAt+64*i)(keys), temp1, temp3 \
	VPTERNLOGD $0x96, temp2, temp3, middle

// HASH takes a unit into the state of GHASH.
#define HASH(lead, half, at, from) \
	HASH_FIRST(lead, half, at, from) \
	HASH_ENDS(0)                     \
	HASH_MIDDLE(0)                   \
	HASH_LOAD(1, at, from)           \
	HASH_ENDS(1)                     \
	HASH_MIDDLE(1)                   \
	HASH_LOAD(2, at, from)           \
	HASH_ENDS(2)                     \
	HASH_MIDDLE(2)                   \
	HASH_LOAD(3, at, from)           \
	HASH_ENDS(3)                     \
	HASH_MIDDLE(3)                   \
	REDUCE                           \
	FOLD

// ROUNDS_HASH is ROUNDS and HASH at once.
#define ROUNDS_HASH(lead, half, at, from) \
	HASH_FIRST(lead, half, at, from) \
	ROUND(key1)                      \
	HASH_ENDS(0)                     \
	ROUND(key2)                      \
	HASH_MIDDLE(0)                   \
	ROUND(key3)                      \
	HASH_LOAD(1, at, from)           \
	ROUND(key4)                      \
	HASH_ENDS(1)                     \
	ROUND(key5)                      \
	HASH_MIDDLE(1)                   \
	ROUND(key6)                      \
	HASH_LOAD(2, at, from)           \
	ROUND(key7)                      \
	HASH_ENDS(2)                     \
	ROUND(key8)                      \
	HASH_MIDDLE(2)                   \
	ROUND(key9)                      \
	HASH_LOAD(3, at, from)           \
	ROUND(key10)                     \
	HASH_ENDS(3)                     \
	ROUND(key11)                     \
	HASH_MIDDLE(3)                   \
	ROUND(key12)                     \
	REDUCE                           \
	ROUND(key13)                     \
	FOLD
