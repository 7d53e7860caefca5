// Command system measures what the service adds to the bare conversion: the time
// between the answer to an upload and the MP3, and the processor's time of a batch.
//
//	make bench-system
//
// It runs `mp3lathe serve` and `mp3lathe convert` in turns on the same files, so that
// a machine that slows down slows both.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"

	"github.com/mp3lathe/mp3lathe/internal/client"
)

func main() {
	log.SetFlags(0)
	b := bench{}
	flag.StringVar(&b.program, "mp3lathe", "bin/mp3lathe", "the program to measure")
	flag.IntVar(&b.clips, "clips", 50, "clips of 5 s, one after the other, for the latency")
	flag.IntVar(&b.batch, "batch", 100, "files of a batch")
	flag.IntVar(&b.runs, "n", 7, "runs of each batch")
	only := flag.String("only", "", "measure one part only: cage")
	lengths := flag.String("lengths", "5s,1m", "lengths of the files of a batch, each a table's row")
	flag.Parse()
	for s := range strings.SplitSeq(*lengths, ",") {
		length, err := time.ParseDuration(s)
		if err != nil {
			log.Fatal(err)
		}
		b.lengths = append(b.lengths, length)
	}
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		log.Fatal(err)
	}
	b.dir = dir
	if *only == "cage" {
		err = b.cage()
	} else {
		err = b.run()
	}
	os.RemoveAll(dir)
	if err != nil {
		log.Fatal(err)
	}
}

type bench struct {
	program            string
	dir                string
	clips, batch, runs int
	lengths            []time.Duration
}

func (b *bench) run() error {
	ctx := context.Background()
	fmt.Printf("%d processors, %s; medians.\n\n", runtime.NumCPU(), runtime.GOARCH)
	short, err := b.source("short.mp4", 5*time.Second)
	if err != nil {
		return err
	}
	if err := b.latency(ctx, short); err != nil {
		return err
	}
	fmt.Printf("\nProcessor's time of %d files, %d runs in turn: `serve` (HTTP, hashing, SQLite, Redis, worker and mail in one process, its idle time included) against one `convert` of all, and against one `convert` for each:\n\n", b.batch, b.runs)
	fmt.Println("| length of each file | one convert | a convert for each | serve | more a file than one convert | ratio |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, length := range b.lengths {
		source, err := b.source(length.String()+".mp4", length)
		if err != nil {
			return err
		}
		if err := b.cpu(ctx, source, length); err != nil {
			return err
		}
	}
	if err := b.idle(ctx); err != nil {
		return err
	}
	return b.cage()
}

// cage measures what it costs to convert each file in a process of its own: the same
// files, one after the other, with and without --isolate, in turns.
func (b *bench) cage() error {
	fmt.Printf("\nWhat the cage costs: `convert --jobs 1` with and without `--isolate`, %d runs in turn:\n\n", b.runs)
	fmt.Println("| length of each file | files | without, a file | CPU | more with, a file | CPU | ratio of CPU |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, c := range []struct {
		length time.Duration
		files  int
	}{{5 * time.Second, 40}, {time.Minute, 8}, {10 * time.Minute, 2}} {
		source, err := b.source("cage-"+c.length.String()+".mp4", c.length)
		if err != nil {
			return err
		}
		var inputs []string
		for i := range c.files {
			name := filepath.Join(b.dir, fmt.Sprintf("cage-%v-%d.mp4", c.length, i))
			if err := os.Link(source, name); err != nil {
				return err
			}
			inputs = append(inputs, name)
		}
		var wall, cpu, moreWall, moreCPU, ratio []float64
		for run := range b.runs + 1 {
			began := time.Now()
			without, err := b.convert(inputs, "--jobs=1")
			if err != nil {
				return err
			}
			middle := time.Now()
			with, err := b.convert(inputs, "--jobs=1", "--isolate")
			if err != nil {
				return err
			}
			end := time.Now()
			if run == 0 {
				continue
			}
			each := func(d time.Duration) float64 { return ms(d) / float64(c.files) }
			wall, cpu = append(wall, each(middle.Sub(began))), append(cpu, each(without))
			moreWall = append(moreWall, each(end.Sub(middle)-middle.Sub(began)))
			moreCPU, ratio = append(moreCPU, each(with-without)), append(ratio, with.Seconds()/without.Seconds())
		}
		for _, v := range [][]float64{wall, cpu, moreWall, moreCPU, ratio} {
			slices.Sort(v)
		}
		m := b.runs / 2
		fmt.Printf("| %v | %d | %.1f ms | %.1f ms | **%.1f ms** | %.1f ms | **%.3f** |\n", c.length, c.files, wall[m], cpu[m], moreWall[m], moreCPU[m], ratio[m])
	}
	return nil
}

// idle measures a service that has nothing to do.
func (b *bench) idle(ctx context.Context) error {
	s, err := b.serve(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	time.Sleep(2 * time.Second) // to start up
	const span = 10 * time.Second
	before, err := s.cpu()
	if err != nil {
		return err
	}
	time.Sleep(span)
	after, err := s.cpu()
	if err != nil {
		return err
	}
	fmt.Printf("\nWithout anything to do it takes %.1f ms of processor's time a second.\n", ms(after-before)/span.Seconds())
	return nil
}

// source makes a video of a length.
func (b *bench) source(name string, length time.Duration) (string, error) {
	path := filepath.Join(b.dir, name)
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", "-1", "-i", "testdata/melody.mp4",
		"-t", fmt.Sprint(length.Seconds()), "-c:v", "copy", "-c:a", "aac", "-b:a", "160k", "-ar", "44100", "-ac", "2", path).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("making a source: %w\n%s", err, out)
	}
	return path, nil
}

// server is a running `mp3lathe serve`.
type server struct {
	cmd *exec.Cmd
	c   *client.Client
}

func (b *bench) serve(ctx context.Context) (*server, error) {
	data, err := os.MkdirTemp(b.dir, "data")
	if err != nil {
		return nil, err
	}
	s := &server{cmd: exec.Command(b.program, "serve", "--data", data, "--listen", "127.0.0.1:0", "--log-level", "warn",
		"--rate-user", "0", "--quota-daily", "0", "--quota-stored", "0")}
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	for range 1000 {
		if url, err := os.ReadFile(filepath.Join(data, "address")); err == nil && len(url) > 0 {
			s.c = &client.Client{Base: strings.TrimSpace(string(url))}
			const email, password = "bench@example.org", "a password for the bench"
			return s, errors.Join(s.c.Register(ctx, email, password), s.c.Login(ctx, email, password))
		}
		time.Sleep(10 * time.Millisecond)
	}
	_ = s.cmd.Process.Kill()
	return nil, errors.New("the service did not start")
}

func (s *server) stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	return s.cmd.Wait()
}

// cpu is the processor's time of the process so far: of all its threads, also those
// that have ended, and of its children, in which it converts, once they have ended.
func (s *server) cpu() (time.Duration, error) {
	// The clock of a process, as clock_getcpuclockid(3) makes it: CPUCLOCK_SCHED.
	clock := int32(^s.cmd.Process.Pid<<3 | 2)
	var ts unix.Timespec
	if err := unix.ClockGettime(clock, &ts); err != nil {
		return 0, fmt.Errorf("the clock of the service's process: %w", err)
	}
	children, err := s.children()
	return time.Duration(ts.Nano()) + children, err
}

// children is the processor's time of the process's children, in ticks of 10 ms:
// proc_pid_stat(5), fields 16 and 17.
func (s *server) children() (time.Duration, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.cmd.Process.Pid))
	if err != nil {
		return 0, err
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	fields := strings.Fields(rest)
	if len(fields) < 15 {
		return 0, fmt.Errorf("/proc/%d/stat: %q", s.cmd.Process.Pid, b)
	}
	user, err1 := strconv.Atoi(fields[13])
	system, err2 := strconv.Atoi(fields[14])
	return time.Duration(user+system) * 10 * time.Millisecond, errors.Join(err1, err2)
}

// latency uploads clips one after the other.
func (b *bench) latency(ctx context.Context, source string) error {
	s, err := b.serve(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	file, err := os.ReadFile(source)
	if err != nil {
		return err
	}
	var bare, total, added []time.Duration
	for i := range b.clips + 3 {
		conversion, err := b.bare(source)
		if err != nil {
			return err
		}
		j, err := s.c.Upload(ctx, "clip.mp4", bytes.NewReader(file), fresh)
		if err != nil {
			return err
		}
		accepted := time.Now()
		if j, err = s.c.Follow(ctx, j.ID, nil); err != nil || j.State != "succeeded" {
			return fmt.Errorf("a clip ended as %s: %w", j.State, err)
		}
		took := time.Since(accepted)
		if i < 3 {
			continue // to warm up
		}
		bare, total, added = append(bare, conversion), append(total, took), append(added, took-conversion)
	}
	fmt.Printf("From the answer 202 to the event that tells the end, %d clips of 5 s, one after the other, each beside a bare conversion (the time that `convert --json` tells, without the start of the process):\n\n", b.clips)
	fmt.Println("| | median | 90 % |")
	fmt.Println("|---|---|---|")
	for _, row := range []struct {
		name string
		v    []time.Duration
	}{{"bare conversion", bare}, {"202 to the end", total}, {"**added**", added}} {
		slices.Sort(row.v)
		fmt.Printf("| %s | %.1f ms | %.1f ms |\n", row.name, ms(row.v[len(row.v)/2]), ms(row.v[len(row.v)*9/10]))
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// bare is the time of one conversion by the command.
func (b *bench) bare(source string) (time.Duration, error) {
	out, err := exec.Command(b.program, "convert", "--json", "--overwrite", source, filepath.Join(b.dir, "bare.mp3")).Output()
	if err != nil {
		return 0, err
	}
	var record struct {
		Wall float64 `json:"wall_seconds"`
	}
	err = json.Unmarshal(out, &record)
	return time.Duration(record.Wall * float64(time.Second)), err
}

// cpu converts batches by both ways in turn.
func (b *bench) cpu(ctx context.Context, source string, length time.Duration) error {
	var inputs []string
	folder := filepath.Join(b.dir, "batch-"+length.String())
	if err := os.Mkdir(folder, 0o777); err != nil {
		return err
	}
	for i := range b.batch {
		name := filepath.Join(folder, fmt.Sprintf("%03d.mp4", i))
		if err := os.Link(source, name); err != nil {
			return err
		}
		inputs = append(inputs, name)
	}
	s, err := b.serve(ctx)
	if err != nil {
		return err
	}
	defer s.stop()
	var convert, each, serve, ratio []float64
	for run := range b.runs + 1 {
		one, err := b.convert(inputs)
		if err != nil {
			return err
		}
		theirs := one.Seconds()
		var single time.Duration
		some := inputs[:max(1, len(inputs)/5)]
		for _, name := range some {
			took, err := b.convert([]string{name})
			if err != nil {
				return err
			}
			single += took
		}
		before, err := s.cpu()
		if err != nil {
			return err
		}
		if err := s.convert(ctx, inputs); err != nil {
			return err
		}
		after, err := s.cpu()
		if err != nil {
			return err
		}
		ours := (after - before).Seconds()
		if run > 0 {
			convert, serve, ratio = append(convert, theirs), append(serve, ours), append(ratio, ours/theirs)
			each = append(each, single.Seconds()*float64(len(inputs))/float64(len(some)))
		}
	}
	for _, v := range [][]float64{convert, each, serve, ratio} {
		slices.Sort(v)
	}
	middle := b.runs / 2
	fmt.Printf("| %v | %.2f s | %.2f s | %.2f s | %.1f ms | **%.3f** |\n", length, convert[middle], each[middle], serve[middle],
		1000*(serve[middle]-convert[middle])/float64(b.batch), ratio[middle])
	return nil
}

// convert is the processor's time of one call of the command, with that of its
// children.
func (b *bench) convert(inputs []string, flags ...string) (time.Duration, error) {
	args := append([]string{"convert", "--quiet", "--overwrite", "--output-dir", filepath.Join(b.dir, "out")}, flags...)
	cmd := exec.Command(b.program, append(args, inputs...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return 0, fmt.Errorf("%w\n%s", err, out)
	}
	return cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// fresh has each upload converted, though it is the same as others.
var fresh = url.Values{"fresh": {"true"}}

// convert uploads a batch, four files at a time, waits for all and downloads them.
func (s *server) convert(ctx context.Context, inputs []string) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(4)
	for _, name := range inputs {
		g.Go(func() error {
			f, err := os.Open(name)
			if err != nil {
				return err
			}
			defer f.Close()
			j, err := s.c.Upload(ctx, filepath.Base(name), f, fresh)
			if err != nil {
				return err
			}
			if j, err = s.c.Follow(ctx, j.ID, nil); err != nil || j.State != "succeeded" {
				return fmt.Errorf("%s ended as %s: %w", name, j.State, err)
			}
			audio, err := s.c.Audio(ctx, j.ID)
			if err != nil {
				return err
			}
			_, err = io.Copy(io.Discard, audio)
			return errors.Join(err, audio.Close())
		})
	}
	return g.Wait()
}
