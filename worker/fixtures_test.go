package worker_test

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mp3lathe/mp3lathe/transcode"
)

// fixture reads a file of testdata.
func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("../testdata", filepath.FromSlash(name)))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// listed is a line of the table of fixtures.
type listed struct {
	file, expected string
	also           []string
	codec          string
	rate           int
	channels       int
	samples        int64
}

func fixtures(t testing.TB) []listed {
	t.Helper()
	var all []listed
	for line := range strings.Lines(string(fixture(t, "FIXTURES.tsv"))) {
		f := strings.Split(line, "\t")
		if f[0] == "file" {
			continue
		}
		l := listed{file: f[0], expected: f[1], also: strings.Fields(f[2]), codec: f[4]}
		if l.expected == "ok" {
			if _, err := fmt.Sscan(f[5]+" "+f[6]+" "+f[7], &l.rate, &l.channels, &l.samples); err != nil {
				t.Fatalf("%s: %v", l.file, err)
			}
		}
		all = append(all, l)
	}
	return all
}

// memory is a file in memory, as transcode.ConvertFile has one on disk.
type memory struct {
	b  []byte
	at int
}

func (m *memory) Write(p []byte) (int, error) {
	if grow := m.at + len(p) - len(m.b); grow > 0 {
		m.b = append(m.b, make([]byte, grow)...)
	}
	n := copy(m.b[m.at:], p)
	m.at += n
	return n, nil
}

func (m *memory) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += int64(m.at)
	case io.SeekEnd:
		offset += int64(len(m.b))
	}
	m.at = int(offset)
	return offset, nil
}

// convert is what package transcode makes of a source.
func convert(t testing.TB, data []byte, o transcode.Options) ([]byte, *transcode.Result) {
	t.Helper()
	var m memory
	r, err := transcode.Convert(t.Context(), &m, bytes.NewReader(data), &o)
	if err != nil {
		t.Fatal(err)
	}
	return m.b, r
}
