package transcode

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"time"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp4"
)

// measureMemory runs in the measuring process. It prints by how many bytes the
// resident memory grew at its peak.
func measureMemory(args []string) {
	grown, note, err := measure1(args[0])
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(grown, note)
}

func measure1(kind string) (int64, string, error) {
	if kind == "leak" {
		return measureLeak()
	}
	var (
		src *virtual
		o   = &Options{Encoding: CBR(64), Parallelism: 1}
		err error
	)
	switch kind {
	case "parallel":
		o.Parallelism = 3
		src, err = newVirtual(virtualFile{packets: 600 * 16000 / 1024, perChunk: 16, size: 8 << 30})
	case "gaps": // ten minutes of audio, scattered over 8 GiB
		src, err = newVirtual(virtualFile{packets: 600 * 16000 / 1024, perChunk: 16, size: 8 << 30})
	case "long": // 30 hours, an index of 7 MB
		o.Start, o.Duration = 29*time.Hour+30*time.Minute, 20*time.Second
		src, err = newVirtual(virtualFile{packets: 30 * 3600 * 16000 / 1024, perChunk: 4, size: 5 << 30})
	case "pcm": // 5 GiB of PCM
		o.Start, o.Duration = 7*time.Hour, 20*time.Second
		src, err = newVirtual(virtualFile{pcm: true, size: 5 << 30})
	case "fragments": // 10 hours of one-second fragments
		o.Start, o.Duration = 9*time.Hour, 20*time.Second
		src, err = newVirtual(virtualFile{packets: 10 * 3600 * 16000 / 1024, perChunk: 16, size: 5 << 30, fragmented: true})
	case "cover": // the largest cover that is taken
		src, err = newVirtual(virtualFile{packets: 1000, perChunk: 16, size: 5 << 30, cover: 8<<20 - 100})
	default:
		err = errors.New("what kind?")
	}
	if err != nil {
		return 0, "", err
	}
	runtime.GC()
	before := resident("VmRSS")
	// Forget the peak so far (proc_pid_clear_refs(5)).
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		return 0, "", err
	}
	r, err := Convert(context.Background(), io.Discard, src, o)
	if err != nil {
		return 0, "", err
	}
	if owners.Load() != 0 {
		return 0, "", fmt.Errorf("%d owners of C memory are left", owners.Load())
	}
	return resident("VmHWM") - before, fmt.Sprintf("bytes (%s: %v of audio from %d bytes, %d read)", kind, r.Duration, src.size, r.BytesRead), nil
}

// measureLeak converts, refuses and probes over and over.
func measureLeak() (int64, string, error) {
	round := func() error {
		for _, name := range []string{"media/aac-tiny.m4a", "media/pcm-5.1.mov", "media/mp3-cbr.mp4", "media/bad-noise.m4a", "media/bad-cut-mdat.m4a"} {
			b, err := os.ReadFile(fixturePath(name))
			if err != nil {
				return err
			}
			_, err = Convert(context.Background(), io.Discard, bytes.NewReader(b), nil)
			if (err != nil) != strings.Contains(name, "bad") {
				return fmt.Errorf("%s: %v", name, err)
			}
			if _, err := Probe(context.Background(), bytes.NewReader(b)); err != nil {
				return fmt.Errorf("%s: %v", name, err)
			}
		}
		return nil
	}
	rounds := func(n int) (int64, error) {
		for range n {
			if err := round(); err != nil {
				return 0, err
			}
		}
		debug.FreeOSMemory()
		return resident("VmRSS"), nil
	}
	before, err := rounds(40)
	if err != nil {
		return 0, "", err
	}
	after, err := rounds(100)
	if err != nil {
		return 0, "", err
	}
	if owners.Load() != 0 {
		return 0, "", fmt.Errorf("%d owners of C memory are left", owners.Load())
	}
	return after - before, "bytes (leak: 500 conversions and 500 probes)", nil
}

// resident reads a field of /proc/self/status, in bytes.
func resident(field string) int64 {
	b, _ := os.ReadFile("/proc/self/status")
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			return number(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB"))) << 10
		}
	}
	return 0
}

// virtualFile says what a large file that exists nowhere looks like: audio at
// 16 kHz in mono, in chunks far apart.
type virtualFile struct {
	packets    int
	perChunk   int
	size       int64
	pcm        bool
	fragmented bool
	cover      int
}

// virtual is an [io.ReadSeeker] of such a file. Between its pieces there are
// zeros.
type virtual struct {
	pieces []piece // in order
	at     int64
	size   int64
}

type piece struct {
	at   int64
	data []byte
}

func newVirtual(v virtualFile) (*virtual, error) {
	b, err := os.ReadFile(fixturePath("media/aac-16000.m4a"))
	if err != nil {
		return nil, err
	}
	f, err := mp4.Open(bytes.NewReader(b), int64(len(b)), mp4.Limits{Tracks: 10, Allocation: 1 << 20})
	if err != nil {
		return nil, err
	}
	samples, err := f.Tracks[0].Samples(mp4.Packing{})
	if err != nil {
		return nil, err
	}
	if _, err := samples.Next(); err != nil { // the first is special
		return nil, err
	}
	s, err := samples.Next()
	if err != nil {
		return nil, err
	}
	packet := b[s.Offset:][:s.Size]
	header, err := f.Header(f.Tracks[0], 0)
	if err != nil {
		return nil, err
	}
	stsd := header[bytes.Index(header, []byte("stsd"))-4:]
	stsd = stsd[:binary.BigEndian.Uint32(stsd)]
	if v.pcm {
		entry := box("sowt", make([]byte, 7), []byte{1}, make([]byte, 8), u16(1, 16, 0, 0), u32(16000<<16))
		stsd = box("stsd", u32(0, 1), entry)
		v.packets, v.perChunk, packet = int((v.size-1<<20)/2), 1<<20, nil
	}
	chunks := (v.packets + v.perChunk - 1) / v.perChunk
	out := &virtual{size: v.size}
	ftyp := box("ftyp", []byte("isom"), u32(512), []byte("isom"))
	stride := (v.size - 1<<20) / int64(chunks)
	first := int64(1 << 20)
	chunk := bytes.Repeat(packet, v.perChunk)
	var tables [][]byte
	if v.fragmented {
		tables = [][]byte{box("stts", u32(0, 0)), box("stsc", u32(0, 0)), box("stsz", u32(0, 0, 0)), box("stco", u32(0, 0))}
	} else {
		var offsets []byte
		for i := range chunks {
			offsets = binary.BigEndian.AppendUint64(offsets, uint64(first+int64(i)*stride))
		}
		sizes, duration := box("stsz", u32(0, 2, uint32(v.packets))), uint32(1)
		if !v.pcm {
			sizes = box("stsz", u32(0, 0, uint32(v.packets)), bytes.Repeat(u32(uint32(len(packet))), v.packets))
			duration = 1024
		}
		tables = [][]byte{
			box("stts", u32(0, 1, uint32(v.packets), duration)),
			box("stsc", u32(0, 1, 1, uint32(v.perChunk), 1)),
			sizes,
			box("co64", u32(0, uint32(chunks)), offsets),
		}
	}
	moov := [][]byte{
		box("mvhd", make([]byte, 12), u32(1000, 0), make([]byte, 80)),
		box("trak",
			box("tkhd", u32(1, 0, 0, 1), make([]byte, 68)),
			box("mdia",
				box("mdhd", u32(0, 0, 0, 16000, 0, 0)),
				box("hdlr", u32(0, 0), []byte("soun"), make([]byte, 13)),
				box("minf", box("stbl", append([][]byte{stsd}, tables...)...)))),
	}
	if v.fragmented {
		moov = append(moov, box("mvex", box("trex", u32(0, 1, 1, 1024, uint32(len(packet)), 0))))
	}
	if v.cover > 0 {
		png := append([]byte("\x89PNG\r\n\x1a\n"), make([]byte, v.cover)...)
		moov = append(moov, box("udta", box("meta", u32(0), box("hdlr", u32(0, 0), []byte("mdirappl"), make([]byte, 9)),
			box("ilst", box("covr", box("data", u32(14, 0), png))))))
	}
	index := box("moov", moov...)
	at := int64(0)
	add := func(b []byte) {
		out.pieces = append(out.pieces, piece{at, b})
		at += int64(len(b))
	}
	add(ftyp)
	if v.fragmented {
		add(index)
		for i := range chunks {
			moof := box("moof", box("mfhd", u32(0, uint32(i+1))),
				box("traf", box("tfhd", u32(0x20000, 1)), box("tfdt", u32(0, uint32(i*v.perChunk*1024))), box("trun", u32(1, uint32(v.perChunk), 0))))
			binary.BigEndian.PutUint32(moof[len(moof)-4:], uint32(len(moof)+8))
			add(moof)
			add(append(u32(uint32(stride)-uint32(len(moof))), "mdat"...))
			add(chunk)
			at = out.pieces[len(out.pieces)-3].at + stride
		}
		return out, nil
	}
	// The index comes last, after one huge mdat.
	end := v.size
	add(append(append(u32(1), "mdat"...), binary.BigEndian.AppendUint64(nil, uint64(end-at))...))
	if !v.pcm {
		for i := range chunks {
			out.pieces = append(out.pieces, piece{first + int64(i)*stride, chunk})
		}
	}
	out.pieces = append(out.pieces, piece{end, index})
	out.size = end + int64(len(index))
	return out, nil
}

func box(kind string, payload ...[]byte) []byte {
	body := bytes.Join(payload, nil)
	return append(append(u32(uint32(8+len(body))), kind...), body...)
}

func u32(v ...uint32) []byte {
	var out []byte
	for _, x := range v {
		out = binary.BigEndian.AppendUint32(out, x)
	}
	return out
}

func u16(v ...uint16) []byte {
	var out []byte
	for _, x := range v {
		out = binary.BigEndian.AppendUint16(out, x)
	}
	return out
}

func (v *virtual) Seek(off int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		off += v.at
	case io.SeekEnd:
		off += v.size
	}
	v.at = off
	return off, nil
}

func (v *virtual) Read(p []byte) (int, error) {
	if v.at >= v.size {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), v.size-v.at))
	clear(p[:n])
	// The first piece that ends after here, by halves.
	low, high := 0, len(v.pieces)
	for low < high {
		mid := (low + high) / 2
		if q := v.pieces[mid]; q.at+int64(len(q.data)) <= v.at {
			low = mid + 1
		} else {
			high = mid
		}
	}
	for _, q := range v.pieces[low:] {
		if q.at >= v.at+int64(n) {
			break
		}
		if from := q.at - v.at; from >= 0 {
			copy(p[from:n], q.data)
		} else {
			copy(p[:n], q.data[-from:])
		}
	}
	v.at += int64(n)
	return n, nil
}
