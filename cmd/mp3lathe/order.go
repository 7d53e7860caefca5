package main

import (
	"sync"
	"sync/atomic"
)

// inOrder does work on all items, n at once, and hands the results to emit in
// the order of the items, each as soon as those before it are there. It returns
// when all is done.
func inOrder[T, R any](n int, items []T, work func(T) R, emit func(R)) {
	results := make([]chan R, len(items))
	for i := range results {
		results[i] = make(chan R, 1)
	}
	var (
		next    atomic.Int64
		workers sync.WaitGroup
	)
	for range n {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(items)); i = next.Add(1) - 1 {
				results[i] <- work(items[i])
			}
		})
	}
	for _, result := range results {
		emit(<-result)
	}
	workers.Wait()
}
