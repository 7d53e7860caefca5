package mp3

import (
	"testing"

	"pgregory.net/rapid"
)

// crcBitwise is the definition of CRC-16/ARC, one bit at a time.
func crcBitwise(crc uint16, p []byte) uint16 {
	for _, b := range p {
		crc ^= uint16(b)
		for range 8 {
			odd := crc&1 != 0
			crc >>= 1
			if odd {
				crc ^= crcPoly
			}
		}
	}
	return crc
}

func TestCRC16(t *testing.T) {
	// The check value of CRC-16/ARC in the catalogue of CRC algorithms.
	if got := CRC16(0, []byte("123456789")); got != 0xBB3D {
		t.Errorf("check value %#04x, want 0xBB3D", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		crc := rapid.Uint16().Draw(t, "crc")
		p := rapid.SliceOfN(rapid.Byte(), 0, 100).Draw(t, "p")
		cut := rapid.IntRange(0, len(p)).Draw(t, "cut")
		want := crcBitwise(crc, p)
		if got := CRC16(crc, p); got != want {
			t.Fatalf("CRC16 = %#04x, want %#04x", got, want)
		}
		if got := CRC16(CRC16(crc, p[:cut]), p[cut:]); got != want {
			t.Fatalf("CRC16 in two pieces = %#04x, want %#04x", got, want)
		}
	})
}

func BenchmarkCRC16(b *testing.B) {
	p := make([]byte, 1<<16)
	for i := range p {
		p[i] = byte(i * i)
	}
	b.SetBytes(int64(len(p)))
	for b.Loop() {
		CRC16(0, p)
	}
}
