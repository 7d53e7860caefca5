// Command bench measures `mp3lathe convert` beside the ffmpeg command line and lame,
// with the same settings, on the same files, in the same run: they take turns, so
// that a machine that slows down slows all. What counts are the ratios.
//
//	make bench
//
// It writes a page, the same as JSON, and plots. bench/README.md says how to read them.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	var s suite
	runs := flag.Int("n", 7, "runs of each command; two hours of audio get three at most")
	quick := flag.Bool("quick", false, "only see that everything works, in less than a minute; the figures mean nothing")
	out := flag.String("out", "build/bench", "`folder` for the results")
	temp := flag.String("temp", "", "`folder` for sources, 3 GB; default: the system's")
	flag.StringVar(&s.program, "mp3lathe", "bin/mp3lathe", "the command to measure")
	flag.StringVar(&s.heAAC, "he-aac", "", "an MP4 `file` with two minutes of HE-AAC or more, for which there is no free encoder; default: left out")
	flag.Parse()
	s.scope = fullScope(max(1, *runs))
	if *quick {
		s.scope = quickScope()
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	dir, err := os.MkdirTemp(*temp, "bench")
	if err != nil {
		log.Fatal(err)
	}
	s.dir = dir
	err = s.bench(ctx, *out, *quick)
	os.RemoveAll(dir)
	if err != nil {
		log.Fatal(err)
	}
}

// bench measures everything and writes it into a folder.
func (s *suite) bench(ctx context.Context, out string, quick bool) error {
	r := report{Began: time.Now().UTC().Format("2006-01-02 15:04 MST"), Quick: quick, Machine: describeMachine(s.program)}
	done := watch()
	time.Sleep(time.Second) // and see what others do
	if now := done(); !now.Quiet() && !quick {
		log.Printf("This machine is not quiet: %s.", now)
	}
	start, err := s.startTime(ctx)
	if err != nil {
		return err
	}
	if err := s.run(ctx); err != nil {
		return err
	}
	log.Print("floor")
	if r.Floor, err = s.measureFloor(ctx); err != nil {
		return err
	}
	r.Load, r.Results = done(), s.results
	r.Model = r.forecast(r.costs(start))
	return r.write(out)
}

// write writes the report.
func (r report) write(dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return err
	}
	data, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{
		"results.json": append(data, '\n'),
		"results.md":   r.markdown(),
		"floor.md":     r.Floor.markdown(r.Machine),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o666); err != nil {
			return err
		}
	}
	log.Printf("the results are in %s", filepath.Join(dir, "results.md"))
	return r.draw(dir)
}
