package mp4

import (
	"bytes"
	"compress/zlib"
	"fmt"
	"io"
)

// maxCompressedIndex bounds an index after decompression. Compressed indexes are
// a habit of the nineties; the largest are some hundred kilobytes.
const maxCompressedIndex = 8 << 20

// uncompress replaces an index that is compressed by what it holds (QuickTime
// File Format, "Compressed Movie Resources").
func (f *File) uncompress() error {
	cmov, ok, err := f.moov.child(0, f.moov.size, "cmov")
	if err != nil || !ok {
		return err
	}
	cmvd, ok, err := f.moov.child(cmov.body, cmov.end, "cmvd")
	if err != nil {
		return err
	}
	if !ok || cmvd.size() < 4 {
		return invalid("a compressed index without data")
	}
	packed, err := f.moov.copy(cmvd.body+4, cmvd.end, f.limits.Allocation)
	if err != nil {
		return err
	}
	z, err := zlib.NewReader(bytes.NewReader(packed))
	if err != nil {
		return fmt.Errorf("%w: compressed index: %v", ErrInvalid, err)
	}
	defer z.Close()
	most := min(maxCompressedIndex, f.limits.Allocation)
	plain, err := io.ReadAll(io.LimitReader(z, most+1))
	if err != nil {
		return fmt.Errorf("%w: compressed index: %v", ErrInvalid, err)
	}
	if int64(len(plain)) > most {
		return overLimit("a compressed index of more than %d bytes", most)
	}
	whole := &region{r: bytes.NewReader(plain), size: int64(len(plain)), window: plain}
	moov, ok, err := whole.child(0, whole.size, "moov")
	if err != nil {
		return err
	}
	if !ok {
		return invalid("a compressed index without a moov box")
	}
	f.moov = &region{r: whole.r, base: moov.body, size: moov.size(), window: plain[moov.body:moov.end]}
	return nil
}
