//go:build !race

// Each file three times in a child: minutes under the race detector.

package cage_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// sources are files of every kind.
func sources(t *testing.T) []string {
	t.Helper()
	folders := []string{"../../testdata"}
	if corpus := os.Getenv("MP3LATHE_CORPUS"); corpus != "" && !testing.Short() {
		folders = append(folders, corpus)
	}
	var names []string
	for _, folder := range folders {
		err := filepath.WalkDir(folder, func(name string, d fs.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() && !strings.HasSuffix(name, ".tsv") && !strings.HasSuffix(name, ".md") {
				names = append(names, name)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(names) < 20 {
		t.Fatalf("only %d files", len(names))
	}
	return names
}

// TestSame: the cage changes nothing, neither the MP3 nor the result nor the error.
func TestSame(t *testing.T) {
	c := newCage(t, cage.Config{})
	for i, name := range sources(t) {
		t.Run(filepath.Base(name), func(t *testing.T) {
			t.Parallel()
			f, err := os.Open(name)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			opts := &transcode.Options{
				Parallelism: 2, AllowPartial: i%2 == 0, Duration: 40 * time.Second,
				Tags: transcode.Tags{Title: "Tschüß"}, Encoding: transcode.CBR(128), Limits: transcode.Limits{Tracks: 100},
			}
			type outcome struct {
				result transcode.Result
				code   transcode.Code
				err    string
				mp3    string
			}
			run := func(convert cage.Converter, dst io.Writer, mp3 func() []byte) outcome {
				r, err := convert(t.Context(), dst, f, opts)
				o := outcome{code: transcode.CodeOf(err), err: fmt.Sprint(err), mp3: string(mp3())}
				if r != nil {
					o.result = *r
					o.result.WallTime, o.result.Stages = 0, transcode.StageTimes{}
					o.result.BytesRead = 0 // planted.Enter reads some more
					if p := o.result.PartialReason; p != nil {
						o.err = p.Error()
						o.result.PartialReason = nil
					}
				}
				return o
			}
			var here, there file
			want := run(transcode.Convert, &here, func() []byte { return here.b })
			got := run(c.Convert, &there, func() []byte { return there.b })
			if want.code != "" { // what was written by then is not told
				want.mp3, got.mp3 = "", ""
			}
			if got != want {
				want.mp3, got.mp3 = fmt.Sprint(len(want.mp3)), fmt.Sprint(len(got.mp3))
				t.Errorf("in the cage %+v\noutside %+v", got, want)
			}
			// A destination that cannot seek, and one that stands somewhere already.
			var stream, streamed bytes.Buffer
			want = run(transcode.Convert, &stream, stream.Bytes)
			if got := run(c.Convert, &streamed, streamed.Bytes); want.code == "" && got != want {
				t.Error("to a stream it differs")
			}
			if want.code == "" {
				behind := file{b: []byte("before"), pos: 6}
				run(c.Convert, &behind, func() []byte { return nil })
				if string(behind.b) != "before"+string(there.b) || behind.pos != int64(len(behind.b)) {
					t.Error("behind other bytes it differs")
				}
			}
		})
	}
}
