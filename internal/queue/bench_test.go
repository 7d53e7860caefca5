package queue

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/internal/embedded"
	"github.com/mp3lathe/mp3lathe/internal/redisconn"
)

func benchBoth(b *testing.B, bench func(b *testing.B, at redisconn.Address)) {
	b.Run("redis", func(b *testing.B) {
		url, err := shared.NewURL()
		if err != nil {
			b.Fatal(err)
		}
		bench(b, redisconn.At(url))
	})
	b.Run("embedded", func(b *testing.B) {
		s := embedded.Redis()
		defer s.Close()
		bench(b, s.Address())
	})
}

// BenchmarkStart measures the time from the call of Convert to the start of the
// handler, one task at a time on an idle server. Run it with -benchtime=200x.
func BenchmarkStart(b *testing.B) {
	benchBoth(b, func(b *testing.B, at redisconn.Address) {
		c := open(b, at)
		started := make(chan time.Time)
		stop := serve(b, at, Convert, ServerConfig{}, func(context.Context, string, int) error {
			started <- time.Now()
			return nil
		})
		var all []time.Duration
		for i := range b.N {
			time.Sleep(time.Duration(i%20) * time.Millisecond) // at any phase of the polls
			began := time.Now()
			if err := c.Convert(b.Context(), strconv.Itoa(i), 0, 0); err != nil {
				b.Fatal(err)
			}
			all = append(all, (<-started).Sub(began))
		}
		_ = stop()
		slices.Sort(all)
		b.ReportMetric(all[len(all)/2].Seconds()*1e3, "ms/median")
		b.ReportMetric(all[len(all)*95/100].Seconds()*1e3, "ms/p95")
		b.ReportMetric(all[len(all)-1].Seconds()*1e3, "ms/max")
		b.ReportMetric(0, "ns/op")
	})
}

// BenchmarkIdle measures what servers of both kinds cost while there is nothing to
// do, for a second per round: this process, which is Redis too if that is embedded,
// and the real Redis. With -benchtime=10x it takes half a minute.
func BenchmarkIdle(b *testing.B) {
	benchBoth(b, func(b *testing.B, at redisconn.Address) {
		none := func(context.Context, string, int) error { return nil }
		stops := []func() error{serve(b, at, Convert, ServerConfig{}, none), serve(b, at, Notify, ServerConfig{}, none)}
		time.Sleep(200 * time.Millisecond)
		own, redis := cpu(b), cpuOf(b, shared.Pid())
		began := time.Now()
		for range b.N {
			time.Sleep(time.Second)
		}
		wall := time.Since(began).Seconds()
		b.ReportMetric((cpu(b)-own).Seconds()/wall*100, "%cpu-here")
		b.ReportMetric((cpuOf(b, shared.Pid())-redis).Seconds()/wall*100, "%cpu-redis")
		b.ReportMetric(0, "ns/op")
		for _, stop := range stops {
			_ = stop()
		}
	})
}

func cpu(b *testing.B) time.Duration {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// cpuOf is another process' time, in steps of 10 ms.
func cpuOf(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	fields := strings.Fields(string(text))
	var ticks int
	for _, f := range fields[13:15] {
		n, err := strconv.Atoi(f)
		if err != nil {
			b.Fatal(err)
		}
		ticks += n
	}
	return time.Duration(ticks) * 10 * time.Millisecond
}
