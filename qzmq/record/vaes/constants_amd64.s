// Constants of the assembly. The first bytes of the wide ones serve narrow vectors.

#include "textflag.h"

DATA ·reversal+0(SB)/8, $0x08090a0b0c0d0e0f
DATA ·reversal+8(SB)/8, $0x0001020304050607
GLOBL ·reversal(SB), RODATA|NOPTR, $16

// x^128 + x^7 + x^2 + x + 1 without its lowest term (which is the highest here).
DATA ·modulus+0(SB)/8, $1
DATA ·modulus+8(SB)/8, $0xc200000000000000
DATA ·modulus+16(SB)/8, $1
DATA ·modulus+24(SB)/8, $0xc200000000000000
DATA ·modulus+32(SB)/8, $1
DATA ·modulus+40(SB)/8, $0xc200000000000000
DATA ·modulus+48(SB)/8, $1
DATA ·modulus+56(SB)/8, $0xc200000000000000
GLOBL ·modulus(SB), RODATA|NOPTR, $64

DATA ·plus32+0(SB)/8, $32
DATA ·plus32+16(SB)/8, $32
DATA ·plus32+32(SB)/8, $32
DATA ·plus32+48(SB)/8, $32
GLOBL ·plus32(SB), RODATA|NOPTR, $64

DATA ·plus16+0(SB)/8, $16
DATA ·plus16+16(SB)/8, $16
GLOBL ·plus16(SB), RODATA|NOPTR, $32

// The text of a vector that is none.
GLOBL ·empty(SB), RODATA|NOPTR, $32

// From 32-n on: a mask of n bytes.
DATA ·ones+0(SB)/8, $-1
DATA ·ones+8(SB)/8, $-1
DATA ·ones+16(SB)/8, $-1
DATA ·ones+24(SB)/8, $-1
GLOBL ·ones(SB), RODATA|NOPTR, $64

// From 16+n on: VPSHUFB moves bytes down by n places, from 16-n on up.
DATA ·slide+0(SB)/8, $0x8080808080808080
DATA ·slide+8(SB)/8, $0x8080808080808080
DATA ·slide+16(SB)/8, $0x0706050403020100
DATA ·slide+24(SB)/8, $0x0f0e0d0c0b0a0908
DATA ·slide+32(SB)/8, $0x8080808080808080
DATA ·slide+40(SB)/8, $0x8080808080808080
GLOBL ·slide(SB), RODATA|NOPTR, $48

// The 32 counters of a unit, relative to its first: in the last byte of a block.
DATA ·offsets+24(SB)/8, $0x0100000000000000
DATA ·offsets+40(SB)/8, $0x0200000000000000
DATA ·offsets+56(SB)/8, $0x0300000000000000
DATA ·offsets+72(SB)/8, $0x0400000000000000
DATA ·offsets+88(SB)/8, $0x0500000000000000
DATA ·offsets+104(SB)/8, $0x0600000000000000
DATA ·offsets+120(SB)/8, $0x0700000000000000
DATA ·offsets+136(SB)/8, $0x0800000000000000
DATA ·offsets+152(SB)/8, $0x0900000000000000
DATA ·offsets+168(SB)/8, $0x0a00000000000000
DATA ·offsets+184(SB)/8, $0x0b00000000000000
DATA ·offsets+200(SB)/8, $0x0c00000000000000
DATA ·offsets+216(SB)/8, $0x0d00000000000000
DATA ·offsets+232(SB)/8, $0x0e00000000000000
DATA ·offsets+248(SB)/8, $0x0f00000000000000
DATA ·offsets+264(SB)/8, $0x1000000000000000
DATA ·offsets+280(SB)/8, $0x1100000000000000
DATA ·offsets+296(SB)/8, $0x1200000000000000
DATA ·offsets+312(SB)/8, $0x1300000000000000
DATA ·offsets+328(SB)/8, $0x1400000000000000
DATA ·offsets+344(SB)/8, $0x1500000000000000
DATA ·offsets+360(SB)/8, $0x1600000000000000
DATA ·offsets+376(SB)/8, $0x1700000000000000
DATA ·offsets+392(SB)/8, $0x1800000000000000
DATA ·offsets+408(SB)/8, $0x1900000000000000
DATA ·offsets+424(SB)/8, $0x1a00000000000000
DATA ·offsets+440(SB)/8, $0x1b00000000000000
DATA ·offsets+456(SB)/8, $0x1c00000000000000
DATA ·offsets+472(SB)/8, $0x1d00000000000000
DATA ·offsets+488(SB)/8, $0x1e00000000000000
DATA ·offsets+504(SB)/8, $0x1f00000000000000
GLOBL ·offsets(SB), RODATA|NOPTR, $512

// Eight whole masks and eight empty ones.
DATA ·masks+0(SB)/8, $-1
DATA ·masks+8(SB)/8, $-1
DATA ·masks+16(SB)/8, $-1
DATA ·masks+24(SB)/8, $-1
DATA ·masks+32(SB)/8, $-1
DATA ·masks+40(SB)/8, $-1
DATA ·masks+48(SB)/8, $-1
DATA ·masks+56(SB)/8, $-1
GLOBL ·masks(SB), RODATA|NOPTR, $128

// RotWord (FIPS 197, 5.2) of the last word, four times.
DATA ·rotate+0(SB)/8, $0x0c0f0e0d0c0f0e0d
DATA ·rotate+8(SB)/8, $0x0c0f0e0d0c0f0e0d
GLOBL ·rotate(SB), RODATA|NOPTR, $16

DATA ·rcon+0(SB)/8, $0x0000000100000001
DATA ·rcon+8(SB)/8, $0x0000000100000001
GLOBL ·rcon(SB), RODATA|NOPTR, $16
