package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"testing/iotest"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// TestMemory: ten uploads at once leave the gateway below 64 MiB, code and all. They are
// long enough for each to fill the buffers of S3's parts more than once; longer ones, which
// the bench makes, take no more.
func TestMemory(t *testing.T) {
	const most = 64 << 20
	b := bench{program: filepath.Join(t.TempDir(), "gateway"), uploads: 10, bytes: 24 << 20}
	// As it is delivered: the race detector needs several times the memory.
	build := exec.Command("go", "build", "-buildvcs=false", "-o", b.program, "github.com/mp3lathe/mp3lathe/cmd/gateway")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, kind := range []string{"folder", "s3"} {
		f, err := b.measure(t.Context(), kind)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %.1f MiB", kind, float64(f.peak)/(1<<20))
		if f.peak > most {
			t.Errorf("%s: the gateway had %d bytes in memory, and at most %d are allowed", kind, f.peak, most)
		}
		if f.peak < 10<<20 || f.cpu <= 0 {
			t.Errorf("%s: it is not the gateway that was measured: %+v", kind, f)
		}
	}
}

// TestVideo: videos are as long as they should be, and the same each time.
func TestVideo(t *testing.T) {
	t.Parallel()
	want, err := io.ReadAll(newVideo(3<<20 + 7))
	if err != nil || len(want) != 3<<20+7 || string(want[4:8]) != "ftyp" {
		t.Fatalf("%d bytes, %v", len(want), err)
	}
	if err := iotest.TestReader(newVideo(3<<20+7), want); err != nil {
		t.Error(err)
	}
}
