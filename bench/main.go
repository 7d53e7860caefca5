// Command bench measures `mp3lathe convert` beside the ffmpeg command line, with
// the same settings, on the same file, in the same run: the two take turns, so
// that a machine that slows down slows both. What counts is the ratio.
//
//	make bench
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	runs := flag.Int("n", 7, "runs of each command")
	length := flag.Duration("length", 10*time.Minute, "length of the source")
	program := flag.String("mp3lathe", "bin/mp3lathe", "the command to measure")
	flag.Parse()
	dir, err := os.MkdirTemp("", "bench")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	if err := bench(dir, *program, *runs, *length); err != nil {
		log.Print(err)
		os.RemoveAll(dir)
		os.Exit(1)
	}
}

// cost is what a process took.
type cost struct {
	wall, cpu time.Duration
	peak      int64 // resident bytes
}

// setting is a bit-rate mode in both commands' words.
type setting struct {
	name         string
	ours, theirs []string
}

var settings = []setting{
	{"CBR 192", []string{"--bitrate", "192"}, []string{"-b:a", "192k"}},
	{"VBR 2", []string{"--vbr", "2"}, []string{"-q:a", "2"}},
	{"ABR 160", []string{"--abr", "160"}, []string{"-abr", "1", "-b:a", "160k"}},
}

func bench(dir, program string, runs int, length time.Duration) error {
	source := filepath.Join(dir, "source.mp4")
	fmt.Printf("Source: %v of stereo AAC at 44.1 kHz with video, made of testdata/melody.mp4.\n", length)
	if err := makeSource(source, length); err != nil {
		return err
	}
	fmt.Printf("%d runs each, in turn, after one that does not count; medians of whole processes; %d processors, %s.\n\n", runs, runtime.NumCPU(), runtime.GOARCH)
	fmt.Println("| setting | command | wall | CPU | peak memory | x real time |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, s := range settings {
		commands := [2][]string{
			append(append([]string{program, "convert", "--overwrite", "--quiet"}, s.ours...), source, filepath.Join(dir, "ours.mp3")),
			append(append([]string{"ffmpeg", "-nostdin", "-v", "error", "-y", "-i", source, "-map", "0:a:0", "-c:a", "libmp3lame"}, s.theirs...), filepath.Join(dir, "theirs.mp3")),
		}
		var costs [2][]cost
		for run := range runs + 1 {
			for i, c := range commands {
				took, err := measure(c)
				if err != nil {
					return err
				}
				if run > 0 {
					costs[i] = append(costs[i], took)
				}
			}
		}
		ours, theirs := median(costs[0]), median(costs[1])
		for i, c := range []cost{ours, theirs} {
			fmt.Printf("| %s | %s | %.2f s | %.2f s | %d MiB | %.0f |\n", s.name, []string{"mp3lathe", "ffmpeg"}[i],
				c.wall.Seconds(), c.cpu.Seconds(), c.peak>>20, length.Seconds()/c.wall.Seconds())
		}
		fmt.Printf("| %s | **ratio** | **%.3f** | **%.3f** | **%.2f** | |\n", s.name,
			ratio(costs, func(c cost) float64 { return c.wall.Seconds() }),
			ratio(costs, func(c cost) float64 { return c.cpu.Seconds() }),
			ratio(costs, func(c cost) float64 { return float64(c.peak) }))
	}
	return nil
}

// makeSource loops a fixture, which has real changes of sound, without encoding
// it anew.
func makeSource(path string, length time.Duration) error {
	out, err := exec.Command("ffmpeg", "-nostdin", "-v", "error", "-y", "-stream_loop", "-1", "-i", "testdata/melody.mp4",
		"-t", fmt.Sprint(length.Seconds()), "-c:v", "copy", "-c:a", "aac", "-b:a", "160k", "-ar", "44100", "-ac", "2", path).CombinedOutput()
	if err != nil {
		return fmt.Errorf("making the source: %w\n%s", err, out)
	}
	return nil
}

func measure(command []string) (cost, error) {
	cmd := exec.Command(command[0], command[1:]...)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return cost{}, fmt.Errorf("%v: %w\n%s", command, err, out)
	}
	usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	if !ok {
		return cost{}, fmt.Errorf("this system does not tell what a process took")
	}
	return cost{
		wall: time.Since(began),
		cpu:  cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(),
		peak: usage.Maxrss << 10,
	}, nil
}

func median(costs []cost) cost {
	middle := func(value func(cost) int64) int64 {
		var v []int64
		for _, c := range costs {
			v = append(v, value(c))
		}
		slices.Sort(v)
		return v[len(v)/2]
	}
	return cost{
		wall: time.Duration(middle(func(c cost) int64 { return int64(c.wall) })),
		cpu:  time.Duration(middle(func(c cost) int64 { return int64(c.cpu) })),
		peak: middle(func(c cost) int64 { return c.peak }),
	}
}

// ratio is the median of the ratios of runs that were neighbours.
func ratio(costs [2][]cost, value func(cost) float64) float64 {
	var v []float64
	for i := range costs[0] {
		v = append(v, value(costs[0][i])/value(costs[1][i]))
	}
	slices.Sort(v)
	return v[len(v)/2]
}
