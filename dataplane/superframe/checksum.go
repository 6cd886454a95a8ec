package superframe

import (
	"encoding/binary"
	"math/bits"
)

// sum is a ones' complement sum (RFC 1071) under way. It is kept in the order in
// which this machine reads bytes, little-endian ones without turning each word
// round: section 2(B) of the RFC, the sum of swapped words is the swapped sum.
type sum uint64

// add adds b, eight bytes at a time with the carry brought round. b has to begin
// at an even place of what is summed.
func (s sum) add(b []byte) sum {
	var carry uint64
	total := uint64(s)
	for ; len(b) >= 64; b = b[64:] {
		total, carry = bits.Add64(total, binary.LittleEndian.Uint64(b), carry)
		total, carry = bits.Add64(total, binary.LittleEndian.Uint64(b[8:]), carry)
		total, carry = bits.Add64(total, binary.LittleEndian.Uint64(b[16:]), carry)
		total, carry = bits.Add64(total, binary.LittleEndian.Uint64(b[24:]), carry)
		total, carry = bits.Add64(total, binary.LittleEndian.Uint64(b[32:]), carry)
		total, carry = bits.Add64(total, binary.LittleEndian.Uint64(b[40:]), carry)
		total, carry = bits.Add64(total, binary.LittleEndian.Uint64(b[48:]), carry)
		total, carry = bits.Add64(total, binary.LittleEndian.Uint64(b[56:]), carry)
	}
	for ; len(b) >= 8; b = b[8:] {
		total, carry = bits.Add64(total, binary.LittleEndian.Uint64(b), carry)
	}
	total = total>>32 + total&0xffffffff + carry // 34 bits at most: what follows cannot overflow
	for ; len(b) >= 2; b = b[2:] {
		total += uint64(binary.LittleEndian.Uint16(b))
	}
	if len(b) == 1 {
		total += uint64(b[0])
	}
	return sum(total)
}

// word adds a number as it stands in a header, big-endian.
func (s sum) word(v uint16) sum {
	total, carry := bits.Add64(uint64(s), uint64(bits.ReverseBytes16(v)), 0)
	return sum(total + carry)
}

// fold is the sum in 16 bits, as it stands in a header.
func (s sum) fold() uint16 {
	v := uint64(s)
	v = v>>32 + v&0xffffffff
	v = v>>32 + v&0xffffffff
	v = v>>16 + v&0xffff
	v = v>>16 + v&0xffff
	v = v>>16 + v&0xffff
	return bits.ReverseBytes16(uint16(v))
}

// checksum is what goes into the header.
func (s sum) checksum() uint16 { return ^s.fold() }

// valid says whether a sum that included the checksum came out right.
func (s sum) valid() bool { return s.fold() == 0xffff }
