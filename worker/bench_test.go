package worker_test

import (
	"bytes"
	"slices"
	"testing"
	"time"

	"github.com/mp3lathe/mp3lathe/job"
	"github.com/mp3lathe/mp3lathe/transcode"
)

// The two benchmarks show what a job costs beyond its conversion: claim, reading and
// writing a bucket on disk, heartbeats, and the end of the row in SQLite, each of them
// durable. Compare their medians:
//
//	go test -run '^$' -bench Clip -benchtime 50x ./worker

// clip is 5 s of music.
var clip = job.Settings{Duration: 5 * time.Second}

// BenchmarkClipHandle makes one attempt at a job.
func BenchmarkClipHandle(b *testing.B) {
	r := newRig(b)
	w := r.worker()
	data := fixture(b, "waltz.m4a")
	var took []time.Duration
	for b.Loop() {
		b.StopTimer()
		id := r.upload(data, clip)
		b.StartTimer()
		began := time.Now()
		r.handle(w, id)
		took = append(took, time.Since(began))
	}
	if done, err := r.jobs.List(b.Context(), job.Query{State: job.Succeeded, Limit: 1000}); err != nil || len(done) != min(len(took), 1000) {
		b.Fatalf("%d of %d succeeded, %v", len(done), len(took), err)
	}
	reportMedian(b, took)
}

// BenchmarkClipConvert converts the same from memory to memory.
func BenchmarkClipConvert(b *testing.B) {
	data := fixture(b, "waltz.m4a")
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		_, err := transcode.Convert(b.Context(), &memory{}, bytes.NewReader(data), &transcode.Options{Duration: clip.Duration})
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
	}
	reportMedian(b, took)
}

func reportMedian(b *testing.B, took []time.Duration) {
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2])/1e6, "median-ms")
}
