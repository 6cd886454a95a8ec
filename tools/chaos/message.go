package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
)

// flowID names who says something to whom, in every message.
type flowID uint16

// evil is what nobody who may in says: a message of this flow has come from an attacker.
const evil flowID = 0xffff

// author makes messages of nothing but their flow and their number, so that who
// receives one knows every byte that it must have.
type author struct{ seed uint64 }

// topicOf is what a message of a flow begins with, for subscriptions: 16 topics.
func topicOf(id flowID) byte { return 'a' + byte(id)%16 }

const headLength = 11 // topic, flow, number

// write makes message number seq of a flow: a head, and up to three parts that are
// empty, small, or longer than a record.
func (a author) write(id flowID, seq uint64) [][]byte {
	head := make([]byte, 0, headLength)
	head = append(head, topicOf(id))
	head = binary.BigEndian.AppendUint16(head, uint16(id))
	head = binary.BigEndian.AppendUint64(head, seq)
	r := rand.New(rand.NewPCG(a.seed, uint64(id)<<48|seq))
	parts := append(make([][]byte, 0, 4), head)
	for range r.IntN(4) {
		part := make([]byte, length(r))
		for i := 0; i < len(part); i += 8 {
			var word [8]byte
			binary.LittleEndian.PutUint64(word[:], r.Uint64())
			copy(part[i:], word[:])
		}
		parts = append(parts, part)
	}
	return parts
}

func length(r *rand.Rand) int {
	switch kind := r.IntN(1000); {
	case kind < 50:
		return 0
	case kind < 700:
		return r.IntN(300)
	case kind < 970:
		return r.IntN(5_000)
	case kind < 996:
		return r.IntN(40_000)
	}
	return 70_000 + r.IntN(130_000)
}

var errAltered = errors.New("torn or altered")

// read gives the flow and the number of a message that is exactly what was written.
func (a author) read(parts [][]byte) (flowID, uint64, error) {
	if len(parts) == 0 || len(parts[0]) != headLength {
		return 0, 0, fmt.Errorf("%w: %d parts without a head", errAltered, len(parts))
	}
	id, seq := flowID(binary.BigEndian.Uint16(parts[0][1:])), binary.BigEndian.Uint64(parts[0][3:])
	want := a.write(id, seq)
	if len(parts) != len(want) {
		return id, seq, fmt.Errorf("%w: %d parts, of flow %d message %d with %d", errAltered, len(parts), id, seq, len(want))
	}
	for i := range parts {
		if !bytes.Equal(parts[i], want[i]) {
			return id, seq, fmt.Errorf("%w: part %d of flow %d message %d", errAltered, i, id, seq)
		}
	}
	return id, seq, nil
}
