package deploytest

import (
	"compress/gzip"
	"crypto/x509"
	"debug/elf"
	"encoding/pem"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// most is how large an image may be, in bytes, as a compressed layer.
var most = map[string]int64{"gateway": 15e6, "auth": 15e6, "notifier": 15e6, "queues": 15e6, "worker": 20e6, "mp3lathe": 23e6}

// TestRootfs: an image is one static program and the few files that it needs, and small.
func TestRootfs(t *testing.T) {
	for _, image := range images(t) {
		t.Run(image, func(t *testing.T) {
			root := rootfs(t, image)
			want := []string{"etc", "etc/group", "etc/nsswitch.conf", "etc/passwd", "etc/ssl", "etc/ssl/certs", "etc/ssl/certs/ca-certificates.crt", program(image), "tmp"}
			if image == "mp3lathe" {
				want = append(want, "data")
			}
			slices.Sort(want)
			var got []string
			must(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
				if err != nil || path == root {
					return err
				}
				got = append(got, strings.TrimPrefix(path, root+"/"))
				info, err := d.Info()
				if err != nil {
					return err
				}
				if mode := info.Mode(); mode&(fs.ModeSetuid|fs.ModeSetgid|fs.ModeSymlink) != 0 || mode&0o002 != 0 && mode&fs.ModeSticky == 0 {
					t.Errorf("%s is %v", path, mode)
				}
				return nil
			}))
			slices.Sort(got)
			if !slices.Equal(got, want) {
				t.Errorf("it holds\n%q, want\n%q", got, want)
			}
			static(t, filepath.Join(root, program(image)), image == "worker" || image == "mp3lathe")
			authorities(t, filepath.Join(root, "etc/ssl/certs/ca-certificates.crt"))
			size := compressed(t, root)
			t.Logf("%s: %.2f MB compressed", image, float64(size)/1e6)
			if size > most[image] {
				t.Errorf("%d bytes, compressed; want at most %d", size, most[image])
			}
		})
	}
}

// static checks that a program needs no file but itself to start. With C code in it, it
// also has to lie at another address each time.
func static(t *testing.T, path string, movable bool) {
	f, err := elf.Open(path)
	must(t, err)
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			t.Error("the program wants a loader, and so shared libraries")
		}
		if p.Type == elf.PT_GNU_STACK && p.Flags&elf.PF_X != 0 {
			t.Error("the program's stack is executable")
		}
	}
	if libraries, err := f.ImportedLibraries(); err != nil || len(libraries) > 0 {
		t.Errorf("the program wants %q, %v", libraries, err)
	}
	if movable && f.Type != elf.ET_DYN {
		t.Errorf("the program is %v: want one that can lie anywhere", f.Type)
	}
}

// authorities checks that a file vouches for many.
func authorities(t *testing.T, path string) {
	b, err := os.ReadFile(path)
	must(t, err)
	n := 0
	for {
		var block *pem.Block
		if block, b = pem.Decode(b); block == nil {
			break
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			t.Error(err)
		}
		n++
	}
	if n < 100 {
		t.Errorf("%d authorities", n)
	}
}

// compressed is the size of the layer.
func compressed(t *testing.T, root string) int64 {
	cmd := exec.Command(filepath.Join(top, "scripts", "rootfs.sh"), "tar", root)
	tar, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	var size counter
	z, err := gzip.NewWriterLevel(&size, gzip.BestCompression)
	must(t, err)
	_, err = io.Copy(z, tar)
	must(t, err)
	must(t, z.Close())
	must(t, cmd.Wait())
	return int64(size)
}

type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
