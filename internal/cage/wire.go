package cage

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Messages between parent and child: a kind, the length of the body as 32 bits in
// little endian, and the body. Both ends are the same executable, so there are no
// versions.
const headerSize = 5

// kind is what a message is about.
type kind byte

// The messages of the parent.
const (
	// msgJob begins the one job of a child: a [task] as JSON.
	msgJob kind = 'j'
	// msgData answers msgRead: how many encoders may be at work from now on, 16 bits,
	// and the bytes; none at the end of the source.
	msgData kind = 'd'
)

// The messages of the child.
const (
	// msgReady says that the child has locked itself in: a [Locks] as JSON.
	msgReady kind = 'h'
	// msgRead asks for bytes of the source: the offset, 64 bits, and how many at the
	// most, 32 bits.
	msgRead kind = 'r'
	// msgWrite is MP3: the offset, 64 bits, and the bytes.
	msgWrite kind = 'w'
	// msgProgress is a [transcode.Progress] as JSON.
	msgProgress kind = 'p'
	// msgDone ends a conversion: a [verdict] as JSON.
	msgDone kind = 'e'
)

const (
	// maxPiece is the most of the source or of the MP3 in one message, in bytes. The
	// converter reads up to 256 KiB and writes 64 KiB at a time; tags and cover can be
	// longer and come in several.
	maxPiece = 256 << 10
	// maxMessage is the longest body that a parent takes from a child.
	maxMessage = maxPiece + 64
	// maxTask is the longest job: it may hold a cover.
	maxTask = 64 << 20
)

// errProtocol: the other end says what nobody says here.
var errProtocol = errors.New("the protocol was broken")

// writeMessage sends a message in one call, so that a small one is one packet. parts
// are the body.
func writeMessage(w io.Writer, buf []byte, k kind, parts ...[]byte) ([]byte, error) {
	size := 0
	for _, p := range parts {
		size += len(p)
	}
	buf = append(buf[:0], byte(k))
	buf = binary.LittleEndian.AppendUint32(buf, uint32(size))
	for _, p := range parts {
		buf = append(buf, p...)
	}
	_, err := w.Write(buf)
	return buf, err
}

// readMessage receives a message whose body has at most so many bytes. The body is
// valid until the buffer is used again.
func readMessage(r io.Reader, buf []byte, most int) (kind, []byte, []byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, buf, err
	}
	size := binary.LittleEndian.Uint32(header[1:])
	if int64(size) > int64(most) {
		return 0, nil, buf, fmt.Errorf("%w: a message of %d bytes", errProtocol, size)
	}
	if cap(buf) < int(size) {
		buf = make([]byte, size)
	}
	body := buf[:size]
	if _, err := io.ReadFull(r, body); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, buf, err
	}
	return kind(header[0]), body, buf, nil
}
