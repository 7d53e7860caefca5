package mp3

// crcPoly is x^16 + x^15 + x^2 + 1 (0x8005) with its bits reversed.
const crcPoly = 0xA001

// crcTables lets CRC16 take eight bytes at a time (slicing-by-8): entry [k][b]
// is the CRC of byte b with k zero bytes after it.
var crcTables = makeCRCTables()

func makeCRCTables() (t [8][256]uint16) {
	for b := range 256 {
		crc := uint16(b)
		for range 8 {
			crc = crc>>1 ^ crcPoly*(crc&1)
		}
		t[0][b] = crc
	}
	for k := 1; k < len(t); k++ {
		for b := range 256 {
			prev := t[k-1][b]
			t[k][b] = prev>>8 ^ t[0][prev&0xFF]
		}
	}
	return t
}

// CRC16 extends crc with p and returns the result. It is CRC-16/ARC
// (polynomial 0x8005 reflected, no final XOR), the checksum of the LAME
// extension's music CRC and tag CRC; both start from 0. It is not the CRC of
// protected frames, which shifts the other way and starts from 0xFFFF.
func CRC16(crc uint16, p []byte) uint16 {
	t := &crcTables
	for len(p) >= 8 {
		crc = t[7][p[0]^byte(crc)] ^ t[6][p[1]^byte(crc>>8)] ^
			t[5][p[2]] ^ t[4][p[3]] ^ t[3][p[4]] ^ t[2][p[5]] ^ t[1][p[6]] ^ t[0][p[7]]
		p = p[8:]
	}
	for _, b := range p {
		crc = crc>>8 ^ t[0][byte(crc)^b]
	}
	return crc
}
