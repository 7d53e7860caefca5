package throttle

import (
	"sync"
	"time"
)

// maxTries is how many keys are remembered in memory. Those that are forgotten first
// are dropped for more.
const maxTries = 100_000

// memory counts as the scripts do.
type memory struct {
	mu  sync.Mutex
	all map[string]tries
}

// tries of one key.
type tries struct {
	n       int
	next    time.Time // no other before
	forgets time.Time
}

func (m *memory) take(keys []Key) time.Duration {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	wait := time.Duration(0)
	for _, k := range keys {
		wait = max(wait, m.all[k.Name].next.Sub(now))
	}
	if wait > 0 {
		return wait
	}
	if m.all == nil {
		m.all = map[string]tries{}
	}
	for _, k := range keys {
		t := m.all[k.Name]
		if !now.Before(t.forgets) {
			t = tries{}
			m.room(now)
		}
		t.n++
		t.next, t.forgets = now.Add(k.Rule.wait(t.n)), now.Add(k.Rule.Memory)
		m.all[k.Name] = t
	}
	return 0
}

// room makes room for one more.
func (m *memory) room(now time.Time) {
	if len(m.all) < maxTries {
		return
	}
	for name, t := range m.all {
		if !now.Before(t.forgets) {
			delete(m.all, name)
		}
	}
	for name := range m.all {
		if len(m.all) < maxTries {
			return
		}
		delete(m.all, name)
	}
}

func (m *memory) undo(keys []Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range keys {
		t, ok := m.all[k.Name]
		if !ok {
			continue
		}
		if t.n--; t.n <= 0 {
			delete(m.all, k.Name)
			continue
		}
		t.next = time.Time{}
		m.all[k.Name] = t
	}
}

func (m *memory) forget(keys []Key) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, k := range keys {
		delete(m.all, k.Name)
	}
}
