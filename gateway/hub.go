package gateway

import "sync"

// hub wakes the streams of a job when there may be news of it. A gateway listens
// for hints once, however many streams it serves.
type hub struct {
	mu       sync.Mutex
	watchers map[string]map[*watcher]struct{} // by job
	open     map[string]int                   // streams by user
}

// watcher is one stream's ear. News that come while it is not listening become one.
type watcher struct{ news chan struct{} }

func newHub() *hub {
	return &hub{watchers: map[string]map[*watcher]struct{}{}, open: map[string]int{}}
}

// notify says that a job may have changed; "" is any.
func (h *hub) notify(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if id != "" {
		wake(h.watchers[id])
		return
	}
	for _, ws := range h.watchers {
		wake(ws)
	}
}

func wake(ws map[*watcher]struct{}) {
	for w := range ws {
		select {
		case w.news <- struct{}{}:
		default:
		}
	}
}

// watch begins to watch a job for a user, unless he has most streams open already.
// The watcher has to be given back by leave.
func (h *hub) watch(id, user string, most int) (*watcher, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[user] >= most {
		return nil, false
	}
	h.open[user]++
	w := &watcher{news: make(chan struct{}, 1)}
	if h.watchers[id] == nil {
		h.watchers[id] = map[*watcher]struct{}{}
	}
	h.watchers[id][w] = struct{}{}
	return w, true
}

func (h *hub) leave(id, user string, w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if delete(h.watchers[id], w); len(h.watchers[id]) == 0 {
		delete(h.watchers, id)
	}
	if h.open[user]--; h.open[user] == 0 {
		delete(h.open, user)
	}
}
