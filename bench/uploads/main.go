// Command uploads measures what many large uploads at once take of a gateway: its
// memory above all, and how fast they go.
//
//	make bench-uploads
//
// It starts one gateway process, and within itself what that needs: Redis, the auth
// service, SQLite; for S3 also a versitygw. The files are made up while they are sent.
// All that is stored lies in a folder in TMPDIR and is removed at the end.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"
)

func main() {
	log.SetFlags(0)
	var b bench
	var buckets string
	flag.StringVar(&b.program, "gateway", "bin/mp3lathe-gateway", "the program to measure")
	flag.StringVar(&buckets, "buckets", "folder,s3", "what to store the uploads in, one after the other")
	flag.IntVar(&b.uploads, "n", 10, "uploads at once, every other one as a form")
	flag.Int64Var(&b.bytes, "bytes", 2<<30, "bytes of each")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	err := run(ctx, b, strings.Split(buckets, ","))
	stop()
	if err != nil {
		log.Fatal(err)
	}
}

// run measures each kind of bucket and prints a table.
func run(ctx context.Context, b bench, buckets []string) error {
	fmt.Printf("%d uploads at once of %d MiB each; %d processors, %s.\n\n", b.uploads, b.bytes>>20, runtime.NumCPU(), runtime.GOARCH)
	fmt.Println("| bucket | peak memory of the gateway | its processor's time a GiB | took | MiB/s | plain writing, MiB/s | ratio |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, kind := range buckets {
		plain, err := b.plain(ctx)
		if err != nil {
			return err
		}
		f, err := b.measure(ctx, kind)
		if err != nil {
			return errors.Join(err, ctx.Err())
		}
		total := float64(b.uploads) * float64(b.bytes)
		rate := func(d time.Duration) float64 { return total / (1 << 20) / d.Seconds() }
		fmt.Printf("| %s | **%.1f MiB** | %.2f s | %.1f s | %.0f | %.0f | %.2f |\n", kind, float64(f.peak)/(1<<20),
			f.cpu.Seconds()/total*(1<<30), f.took.Seconds(), rate(f.took), rate(plain), plain.Seconds()/f.took.Seconds())
	}
	return nil
}

// bench is what is measured.
type bench struct {
	program string
	uploads int
	bytes   int64
}

// folder makes one for what is stored, on the disk that TMPDIR names.
func folder() (string, error) { return os.MkdirTemp("", "mp3lathe-uploads-") }
