package cage_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/cage"
	"github.com/mp3lathe/mp3lathe/internal/cage/planted"
	"github.com/mp3lathe/mp3lathe/transcode"
)

func ctx() context.Context { return context.Background() }

// file is a destination that can seek.
type file struct {
	b   []byte
	pos int64
}

func (f *file) Write(p []byte) (int, error) {
	end := f.pos + int64(len(p))
	if end > int64(len(f.b)) {
		f.b = append(f.b, make([]byte, end-int64(len(f.b)))...)
	}
	copy(f.b[f.pos:], p)
	f.pos = end
	return len(p), nil
}

func (f *file) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += f.pos
	case io.SeekEnd:
		offset += int64(len(f.b))
	}
	f.pos = offset
	return offset, nil
}

// convert converts into memory.
func convert(c *cage.Cage, src []byte, opts *transcode.Options) ([]byte, error) {
	var out file
	_, err := c.Convert(ctx(), &out, bytes.NewReader(src), opts)
	return out.b, err
}

// newCage makes a cage for a test, small and impatient.
func newCage(t testing.TB, cfg cage.Config) *cage.Cage {
	t.Helper()
	if cfg.Memory == 0 {
		cfg.Memory = 256 << 20
	}
	c, err := cage.New(ctx(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if pid, ok := childOf(os.Getpid()); ok {
			t.Errorf("the child %d is left", pid)
		}
	})
	return c
}

// childOf returns a caged child of a process, dead ones included.
func childOf(pid int) (int, bool) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, name := range tasks {
		b, _ := os.ReadFile(name)
		for _, f := range strings.Fields(string(b)) {
			n, err := strconv.Atoi(f)
			comm, _ := os.ReadFile("/proc/" + f + "/comm")
			if err == nil && strings.HasPrefix(string(comm), "exe") {
				return n, true
			}
		}
	}
	return 0, false
}

// TestTimes: a file that says when it was made is no reason to read the time zone's
// file.
func TestTimes(t *testing.T) {
	c := newCage(t, cage.Config{})
	src, err := os.ReadFile("../../testdata/melody.mp4")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, box := range []string{"mvhd", "tkhd", "mdhd"} {
		for at := 0; ; n++ {
			i := bytes.Index(src[at:], []byte(box))
			if i < 0 {
				break
			}
			at += i + 8
			copy(src[at:], "\xe5\xb1\x37\x80\xe5\xb1\x37\x80")
		}
	}
	if n < 3 {
		t.Fatalf("%d boxes with times", n)
	}
	if _, err := convert(c, src, &transcode.Options{Duration: time.Second}); err != nil {
		t.Error(err)
	}
}

// TestOptions: no option is lost on the way, whoever adds one.
func TestOptions(t *testing.T) {
	var fill func(v reflect.Value)
	fill = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Struct:
			for i := range v.NumField() {
				if v.Field(i).CanSet() {
					fill(v.Field(i))
				}
			}
		case reflect.Pointer:
			v.Set(reflect.New(v.Type().Elem()))
			fill(v.Elem())
		case reflect.String:
			v.SetString("x")
		case reflect.Bool:
			v.SetBool(true)
		case reflect.Int, reflect.Int64:
			v.SetInt(1)
		case reflect.Slice:
			v.SetBytes([]byte("\xff\xd8\xff"))
		case reflect.Func:
		default:
			t.Fatalf("an option of the kind %v", v.Kind())
		}
	}
	var o, back transcode.Options
	fill(reflect.ValueOf(&o).Elem())
	o.Encoding = transcode.ABR(100)
	b, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &back); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(o, back) {
		t.Errorf("%+v became %+v", o, back)
	}
}

// TestFaults: whatever a child does, its parent calls it by its name and lives, and
// nothing is left of it.
func TestFaults(t *testing.T) {
	c := newCage(t, cage.Config{CPU: 4 * time.Second, Silence: 10 * time.Second})
	for f, want := range planted.Faults() {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			mp3, err := convert(c, planted.Source(f, ""), &transcode.Options{Limits: transcode.Limits{OutputBytes: 10 << 20}})
			var fault *cage.Fault
			if !errors.As(err, &fault) {
				t.Fatalf("%v, and an MP3 of %d bytes: %.100q", err, len(mp3), mp3)
			}
			t.Log(fault)
			if fault.Kind != want {
				t.Errorf("it is called %s, not %s", fault.Kind, want)
			}
			if len(fault.Detail) > 1000 || strings.ContainsAny(fault.Detail, "\n\x1b") {
				t.Errorf("the detail is not fit for a log: %q", fault.Detail)
			}
			if len(mp3) > 11<<20 {
				t.Errorf("it wrote %d bytes", len(mp3))
			}
		})
	}
	if _, err := os.Stat("/tmp/mp3lathe-planted"); err == nil {
		t.Error("a child made a file")
	}
	// And converts as before.
	src, err := os.ReadFile("../../testdata/melody.mp4")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := convert(c, src, nil); err != nil {
		t.Error(err)
	}
}

// TestLargeParent: what the parent takes up is not the child's, and does not hide what
// the child does.
func TestLargeParent(t *testing.T) {
	c := newCage(t, cage.Config{Memory: 64 << 20})
	large := make([]byte, 128<<20)
	for i := 0; i < len(large); i += 4096 {
		large[i] = 1
	}
	for f, want := range map[planted.Fault]cage.Kind{planted.Abort: cage.Crashed, planted.HoardC: cage.OutOfMemory} {
		_, err := convert(c, planted.Source(f, ""), nil)
		if fault := new(cage.Fault); !errors.As(err, &fault) || fault.Kind != want {
			t.Errorf("%s: %v, not %s", f, err, want)
		}
	}
	runtime.KeepAlive(large)
}

// TestCanceledLie: a child cannot make its parent believe that somebody has canceled.
func TestCanceledLie(t *testing.T) {
	_, err := convert(newCage(t, cage.Config{}), planted.Source(planted.Canceled, ""), nil)
	if errors.Is(err, context.Canceled) || transcode.CodeOf(err) != transcode.CodeIO || strings.ContainsAny(err.Error(), "\n\x1b") {
		t.Errorf("%q", err)
	}
}

// TestEmptyHands: a child has no variable, no descriptor and no argument that could be
// a credential.
func TestEmptyHands(t *testing.T) {
	t.Setenv("MP3LATHE_DATABASE", "mysql://user:secret@host")
	secret, err := os.Open("../../go.mod") // as C code would open it, without O_CLOEXEC
	if err != nil {
		t.Fatal(err)
	}
	defer secret.Close()
	if _, err := syscall.Dup(int(secret.Fd())); err != nil {
		t.Fatal(err)
	}
	mp3, err := convert(newCage(t, cage.Config{}), planted.Source(planted.Look, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	var s planted.Sight
	if err := json.Unmarshal(mp3, &s); err != nil {
		t.Fatal(err)
	}
	if want := []string{"MALLOC_ARENA_MAX=1"}; !slices.Equal(s.Environment, want) {
		t.Errorf("its environment is %q", s.Environment)
	}
	// The socket, three standard ones, and two of the runtime's poller.
	if len(s.Descriptors) > 6 || slices.Max(s.Descriptors) > 200 {
		t.Errorf("its descriptors are %v", s.Descriptors)
	}
}

// TestLandlock: without the filter, Landlock alone keeps it from files, the network
// and its parent.
func TestLandlock(t *testing.T) {
	c := newCage(t, cage.Without("seccomp"))
	l := c.Locks()
	if l.Landlock == 0 {
		t.Skip("this kernel has no Landlock")
	}
	mp3, err := convert(c, planted.Source(planted.Look, ""), nil)
	if err != nil {
		t.Fatal(err)
	}
	var s planted.Sight
	if err := json.Unmarshal(mp3, &s); err != nil {
		t.Fatal(err)
	}
	t.Logf("Landlock %d: %q", l.Landlock, s.Tries)
	for f, since := range map[planted.Fault]int{planted.Open: 1, planted.Create: 1, planted.Exec: 1, planted.Connect: 4, planted.Kill: 6} {
		if text, ok := s.Tries[f]; !ok || l.Landlock >= since && !strings.Contains(text, "permission denied") && !strings.Contains(text, "not permitted") {
			t.Errorf("%s: %q", f, text)
		}
	}
}

// TestSeccomp: without Landlock, the filter alone ends it.
func TestSeccomp(t *testing.T) {
	c := newCage(t, cage.Without("landlock"))
	for _, f := range []planted.Fault{planted.Open, planted.Connect, planted.Exec, planted.Fork, planted.Kill} {
		_, err := convert(c, planted.Source(f, ""), nil)
		if fault := new(cage.Fault); !errors.As(err, &fault) || fault.Kind != cage.Forbidden {
			t.Errorf("%s: %v", f, err)
		}
	}
}

// TestLack: on a kernel without a lock the cage says so, and does without or refuses.
func TestLack(t *testing.T) {
	for _, call := range []string{"landlock", "seccomp"} {
		cmd := exec.Command("/proc/self/exe", call)
		cmd.Env = append(os.Environ(), part+"=lack")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", call, err, out)
		}
		var got struct {
			Locks  cage.Locks
			Strict string
		}
		if err := json.Unmarshal(out, &got); err != nil {
			t.Fatalf("%s: %v: %s", call, err, out)
		}
		if (got.Locks.Landlock == 0) != (call == "landlock") || got.Locks.Seccomp != (call != "seccomp") {
			t.Errorf("without %s: %+v", call, got.Locks)
		}
		if !strings.Contains(strings.ToLower(got.Strict), call) {
			t.Errorf("a strict cage without %s: %q", call, got.Strict)
		}
	}
}

// TestUnprivileged: none of it needs a privilege.
func TestUnprivileged(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("all tests show it")
	}
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), part+"=convert")
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	src, err := os.Open("../../testdata/melody.mp4")
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	cmd.Stdin = src
	if out, err := cmd.CombinedOutput(); err != nil || string(out) != "converted\n" {
		t.Errorf("%v: %s", err, out)
	}
}

// TestBounds reads in /proc what the kernel holds a child to.
func TestBounds(t *testing.T) {
	c := newCage(t, cage.Config{Memory: 100 << 20, CPU: 90 * time.Second})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := c.Convert(ctx, io.Discard, bytes.NewReader(planted.Source(planted.Spin, "")), nil)
		done <- err
	}()
	var pid int
	await(t, "a child", func() (ok bool) { pid, ok = childOf(os.Getpid()); return ok })
	read := func(name string) string {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, name))
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	var limits, status string
	await(t, "the locks", func() bool {
		limits, status = read("limits"), read("status")
		return strings.Contains(status, "Seccomp:\t2")
	})
	if !strings.Contains(status, "NoNewPrivs:\t1") {
		t.Errorf("it may gain privileges: %s", status)
	}
	for what, pattern := range map[string]func(soft, hard string) bool{
		"Max cpu time":       func(soft, hard string) bool { return soft == "90" && hard == "90" },
		"Max file size":      func(soft, hard string) bool { return hard == "0" },
		"Max core file size": func(soft, hard string) bool { return hard == "0" },
		"Max locked memory":  func(soft, hard string) bool { return hard == "0" },
		"Max open files":     func(soft, hard string) bool { n, _ := strconv.Atoi(hard); return n > 0 && n < 300 },
		"Max address space":  func(soft, hard string) bool { return soft == hard && hard != "unlimited" },
		"Max data size":      func(soft, hard string) bool { n, _ := strconv.Atoi(hard); return n > 100<<20 && n < 1<<30 },
	} {
		_, line, ok := strings.Cut(limits, what)
		f := strings.Fields(line)
		if !ok || !pattern(f[0], f[1]) {
			t.Errorf("%s: %s, %s", what, f[0], f[1])
		}
	}
	if pgid, err := syscall.Getpgid(pid); err != nil || pgid != pid {
		t.Errorf("its process group is %d, %v", pgid, err)
	}
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// await waits until something is so.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("there is no sign of %s", what)
		}
	}
}

// TestOrphan: a child ends with its parent, even if that is killed and the child does
// not look.
func TestOrphan(t *testing.T) {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), part+"=parent")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	child, err2 := strconv.Atoi(strings.TrimSpace(line))
	cmd.Process.Kill()
	cmd.Wait()
	if err != nil || err2 != nil {
		t.Fatal(line, err, err2)
	}
	await(t, "the child's end", func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", child))
		return err != nil || strings.Contains(string(b), ") Z ") // nobody may have waited for it
	})
}

// TestDeadline: the end of the context is the end of the child, and the error says
// which it was.
func TestDeadline(t *testing.T) {
	c := newCage(t, cage.Config{})
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := c.Convert(ctx, io.Discard, bytes.NewReader(planted.Source(planted.Spin, "")), nil)
	if transcode.CodeOf(err) != transcode.CodeTimeout {
		t.Error(err)
	}
	if _, err := c.Convert(ctx, io.Discard, bytes.NewReader(nil), nil); transcode.CodeOf(err) != transcode.CodeTimeout {
		t.Error(err)
	}
}

// brokenSource fails at a read.
type brokenSource struct {
	*bytes.Reader
	reads int
	err   error
}

func (b *brokenSource) Read(p []byte) (int, error) {
	if b.reads--; b.reads < 0 {
		return 0, b.err
	}
	return b.Reader.Read(p)
}

type brokenSink struct{ err error }

func (b brokenSink) Write([]byte) (int, error) { return 0, b.err }

// TestIO: errors of the caller's own source and destination come back as they are,
// and are nobody's fault.
func TestIO(t *testing.T) {
	c := newCage(t, cage.Config{})
	src, err := os.ReadFile("../../testdata/melody.mp4")
	if err != nil {
		t.Fatal(err)
	}
	own := errors.New("my own")
	for reads := range 3 {
		_, err := c.Convert(ctx(), io.Discard, &brokenSource{bytes.NewReader(src), reads, own}, nil)
		if of := new(transcode.Error); !errors.Is(err, own) || !errors.As(err, &of) || of.Op != "read" {
			t.Errorf("%d reads: %v", reads, err)
		}
	}
	_, err = c.Convert(ctx(), brokenSink{own}, bytes.NewReader(src), nil)
	if of := new(transcode.Error); !errors.Is(err, own) || !errors.As(err, &of) || of.Op != "write" {
		t.Error(err)
	}
	// One that has become shorter is no end of the file.
	_, err = c.Convert(ctx(), io.Discard, &brokenSource{bytes.NewReader(src), 1, io.EOF}, nil)
	if !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || transcode.CodeOf(err) != transcode.CodeIO {
		t.Error(err)
	}
	if _, err := c.Convert(ctx(), io.Discard, bytes.NewReader(src), &transcode.Options{Track: -1}); transcode.CodeOf(err) != transcode.CodeOptions {
		t.Error(err)
	}
}

// TestProgress: it comes as without a cage.
func TestProgress(t *testing.T) {
	c := newCage(t, cage.Config{})
	src, err := os.ReadFile("../../testdata/melody.mp4")
	if err != nil {
		t.Fatal(err)
	}
	var last transcode.Progress
	if _, err := convert(c, src, &transcode.Options{Progress: func(p transcode.Progress) { last = p }}); err != nil {
		t.Fatal(err)
	}
	if !last.Done || last.Position < 9*time.Second || last.BytesWritten == 0 {
		t.Errorf("%+v", last)
	}
}

// TestMany: many at once, good ones and bad ones, and afterwards nothing is left:
// neither a process nor a descriptor.
func TestMany(t *testing.T) {
	c := newCage(t, cage.Config{CPU: 2 * time.Second})
	src, err := os.ReadFile("../../testdata/melody.mp4")
	if err != nil {
		t.Fatal(err)
	}
	opts := &transcode.Options{Duration: time.Second}
	want, err := convert(c, src, opts)
	if err != nil {
		t.Fatal(err)
	}
	before := descriptors(t)
	bad := []planted.Fault{planted.Segfault, planted.Noise, planted.Fork, planted.Exit}
	var g sync.WaitGroup
	for i := range 40 {
		g.Go(func() {
			if i%4 == 3 {
				_, err := convert(c, planted.Source(bad[i/4%4], ""), opts)
				if fault := new(cage.Fault); !errors.As(err, &fault) || fault.Kind != planted.Faults()[bad[i/4%4]] {
					t.Error(err)
				}
				return
			}
			if got, err := convert(c, src, opts); err != nil || !bytes.Equal(got, want) {
				t.Errorf("%d bytes instead of %d, %v", len(got), len(want), err)
			}
		})
	}
	g.Wait()
	if after := descriptors(t); after > before {
		t.Errorf("%d descriptors became %d", before, after)
	}
}

func descriptors(t *testing.T) int {
	t.Helper()
	open, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(open)
}
