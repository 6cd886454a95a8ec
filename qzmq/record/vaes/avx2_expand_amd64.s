// What New computes from a key for vectors of two blocks: round keys, and the
// powers of H that avx2_names_amd64.h has a use for.

#include "textflag.h"
#include "avx2_names_amd64.h"

// SUM_UP adds to each word of x those before it.
#define SUM_UP(x) \
	VPSLLDQ $4, x, X5 \
	VPXOR   X5, x, x  \
	VPSLLDQ $8, x, X5 \
	VPXOR   X5, x, x

// func expand256(k *keys, key *[32]byte)
TEXT ·expand256(SB), NOSPLIT, $0-16
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
	LEAQ    (roundsAt+16)(keys), DI
	VMOVDQU roundsAt(keys), X0
	MOVL    $13, CX
encrypt:
	VAESENC (DI), X0, X0
	ADDQ    $16, DI
	DECL    CX
	JNZ     encrypt
	VAESENCLAST (DI), X0, X0
	VPSHUFB     ·reversal(SB), X0, X0

	// Division by x is a shift upwards here; where the constant term drops out, the
	// modulus is added.
	VPSHUFD $0xff, X0, X1
	VPSRAD  $31, X1, X1
	VPAND   ·modulus(SB), X1, X1
	VPSRLQ  $63, X0, X2
	VPSLLDQ $8, X2, X2
	VPSLLQ  $1, X0, X0
	VPXOR   X1, X0, X0
	VPXOR   X2, X0, X0

	// H^1, H^2, … downwards from the end.
	LEAQ    powersOne(keys), DI
	VMOVDQA X0, hashX
	VMOVDQU hashX, (DI)
	MOVL    $16, CX
multiply:
	VMOVDQA hash, Y1
	VMOVDQA Y0, Y2
	CLEAR
	MULTIPLY_ADD(Y1, Y2)
	REDUCE
	SUBQ    $16, DI
	VMOVDQU hashX, (DI)
	DECL    CX
	JNZ     multiply

	// For each pair of vectors of powers, the sums of their halves.
	LEAQ powersUnit(keys), SI
	LEAQ sumsUnit(keys), DI
	MOVL $4, CX
pair:
	VMOVDQU     (SI), Y0
	VMOVDQU     32(SI), Y1
	VPUNPCKLQDQ Y1, Y0, Y2
	VPUNPCKHQDQ Y1, Y0, Y3
	VPXOR       Y2, Y3, Y2
	VMOVDQU     Y2, (DI)
	ADDQ        $64, SI
	ADDQ        $32, DI
	DECL        CX
	JNZ         pair
	VZEROUPPER
	RET
