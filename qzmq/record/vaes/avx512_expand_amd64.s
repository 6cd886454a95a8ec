// What New computes from a key: round keys, and the powers of H.

#include "textflag.h"
#include "avx512_names_amd64.h"

// SUM_UP adds to each word of x those before it.
#define SUM_UP(x) \
	VPSLLDQ $4, x, X5 \
	VPXOR   X5, x, x  \
	VPSLLDQ $8, x, X5 \
	VPXOR   X5, x, x

// func expand512(k *keys, key *[32]byte)
TEXT ·expand512(SB), NOSPLIT, $0-16
	MOVQ k+0(FP), keys
	MOVQ key+8(FP), SI

	// FIPS 197, 5.2. AESENCLAST does SubWord: on four equal words the shift of rows
	// changes nothing, and Rcon is what it adds.
	LEAQ    roundsAt(keys), DI
	VMOVDQU (SI), X0
	VMOVDQU 16(SI), X1
	VMOVDQU ·rcon(SB), X2
	VPXOR   X3, X3, X3
	VMOVDQU ·rotate(SB), X6
	VMOVDQU X0, (DI)
	MOVL    $7, CX
round:
	VMOVDQU     X1, 16(DI)
	VPSHUFB     X6, X1, X4
	VAESENCLAST X2, X4, X4
	VPSLLD      $1, X2, X2
	SUM_UP(X0)
	VPXOR       X4, X0, X0
	VMOVDQU     X0, 32(DI)
	VPSHUFD     $0xff, X0, X4
	VAESENCLAST X3, X4, X4
	SUM_UP(X1)
	VPXOR       X4, X1, X1
	ADDQ        $32, DI
	DECL        CX
	JNZ         round

	// H = E(K, 0) (7.1, step 1).
	LOAD_KEYS
	VMOVDQU       roundsAt(keys), X0
	ROUNDS_NARROW
	VAESENCLAST   key14, text0, text0
	VPSHUFB       reverseX, X0, X0

	// Division by x is a shift upwards here; where the constant term drops out, the
	// modulus is added.
	VPSHUFD    $0xff, X0, X1
	VPSRAD     $31, X1, X1
	VPAND      ·modulus(SB), X1, X1
	VPSRLQ     $63, X0, X2
	VPSLLDQ    $8, X2, X2
	VPSLLQ     $1, X0, X0
	VPTERNLOGD $0x96, X1, X2, X0

	// H^1, H^2, … downwards from the end.
	LEAQ      powersOne(keys), DI
	VMOVDQA64 X0, hashX
	VMOVDQU   hashX, (DI)
	MOVL      $32, CX
multiply:
	VMOVDQA64 hashX, X1
	CLEAR
	MULTIPLY_ADD(Z1, Z0)
	REDUCE
	SUBQ      $16, DI
	VMOVDQU   hashX, (DI)
	DECL      CX
	JNZ       multiply

	// For each pair of vectors of powers, the sums of their halves.
	LEAQ powersUnit(keys), SI
	LEAQ sumsAt(keys), DI
	MOVL $4, CX
pair:
	VMOVDQU64   (SI), Z0
	VMOVDQU64   64(SI), Z1
	VPUNPCKLQDQ Z1, Z0, Z2
	VPUNPCKHQDQ Z1, Z0, Z3
	VPXORQ      Z2, Z3, Z2
	VMOVDQU64   Z2, (DI)
	ADDQ        $128, SI
	ADDQ        $64, DI
	DECL        CX
	JNZ         pair
	VZEROUPPER
	RET
