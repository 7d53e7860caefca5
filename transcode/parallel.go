package transcode

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/asticode/go-astiav"

	"github.com/mp3lathe/mp3lathe/transcode/internal/mp3"
)

// parallelEncoder encodes a stream in chunks, several at a time, and splices what
// comes out into one stream without a seam; docs/parallel.md says how.
//
// The goroutine of the conversion writes blocks, splices, and gives out frames;
// workers encode. Blocks are kept from where the leftmost encoder stands, so that
// it can go on into the next chunk wherever no splice is found: at worst the
// result is that of one encoder.
type parallelEncoder struct {
	ctx     context.Context
	config  encoderConfig
	plan    plan
	share   *share
	most    int                           // workers
	eager   bool                          // have that many even if others wait
	fresh   func() (*astiav.Frame, error) // makes a block
	emit    func([]byte) error            // takes each MP3 frame
	unwatch func() bool                   // ends the watch over ctx

	splice func(left, right *mp3.Unpacker, level int, from, to, near int64) (int64, bool) // mp3.Splice

	workers sync.WaitGroup
	stop    atomic.Int32

	mu      sync.Mutex
	change  sync.Cond // of anything below
	blocks  blockQueue
	ended   bool     // no more blocks will come
	chunks  []*chunk // in order, from the leftmost that is not laid whole
	made    int64    // chunks ever made
	working int      // workers that run
	err     error

	// What only the conversion's goroutine uses.
	packer    *mp3.Packer
	next      int64 // frame to lay
	laid      []byte
	sizes     []int // of the frames in laid
	spliced   int
	unspliced int
}

// chunk is a stretch of the stream that one encoder encodes.
type chunk struct {
	lame   *lame
	at     int64        // next block that the encoder gets
	splice int64        // first frame that is meant to be its own
	end    int64        // first frame that is meant to be the next one's
	frames mp3.Unpacker // what the encoder made

	taken   bool // by a worker
	done    bool // it has its frames up to end; the worker is gone
	over    bool // it has the stream's last frame
	onward  bool // no splice was found yet: it goes on, in the conversion's goroutine
	dropped bool // it is not wanted any more

	batch []*astiav.Frame
}

// How many blocks a worker waits for, and how many it encodes in one call into C if
// there are more and nobody waits for its turn. The longer the calls, the less the Go
// scheduler has to look after them (see batchBlocks): with 64 blocks it woke up 8,000
// times in ten minutes of sound, with 256 half as often, and took 3 % of the time less.
const (
	workerBatch  = 64
	longestBatch = 256
)

// errClosed ends workers of an encoder that was closed before its end.
var errClosed = errors.New("the encoder was closed")

func newParallelEncoder(ctx context.Context, v encoderConfig, p plan, pool *pool, most int, fresh func() (*astiav.Frame, error), emit func([]byte) error) *parallelEncoder {
	e := &parallelEncoder{
		ctx: ctx, config: v, plan: p, share: &share{pool: pool}, most: most, eager: most > 0, fresh: fresh, emit: emit,
		splice: mp3.Splice,
	}
	if !e.eager {
		e.most = pool.size()
	}
	e.change.L = &e.mu
	e.packer = mp3.NewPacker(func(frame []byte) error {
		e.laid = append(e.laid, frame...)
		e.sizes = append(e.sizes, len(frame))
		return nil
	})
	e.unwatch = context.AfterFunc(ctx, func() { e.fail(ctx.Err()) })
	return e
}

// fail ends the work. The first error is the one that counts: encoders are stopped,
// which is an error to each of them, after it is known.
func (e *parallelEncoder) fail(err error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.note(err)
}

// note is fail for those who hold the lock.
func (e *parallelEncoder) note(err error) {
	if e.err == nil {
		e.err = err
	}
	e.stop.Store(1)
	e.change.Broadcast()
}

func (e *parallelEncoder) close() {
	e.unwatch()
	e.fail(errClosed)
	e.workers.Wait()
	for _, c := range e.chunks {
		c.close()
	}
	e.blocks.free()
}

func (c *chunk) open(v encoderConfig) func() error {
	return func() (err error) {
		c.lame, err = newLAME(v, longestBatch)
		return err
	}
}

func (c *chunk) close() {
	if c.lame != nil {
		c.lame.close()
		c.lame = nil
	}
}

// encode keeps the blocks, and returns when there is room for more.
func (e *parallelEncoder) encode(blocks []*astiav.Frame) error {
	e.mu.Lock()
	err := e.blocks.swap(blocks, e.fresh)
	full := e.blocks.len() >= e.room()
	e.mu.Unlock()
	if err != nil {
		return err
	}
	return e.advance(func() bool {
		room := e.room()
		if full {
			// To decode much at a time, and then nothing for a while, leaves the workers
			// more of the caches.
			room -= min(longestBatch, (room-e.near())/2)
		}
		return e.blocks.len() < room
	})
}

// finish encodes the rest.
func (e *parallelEncoder) finish() error {
	e.mu.Lock()
	e.ended = true
	e.mu.Unlock()
	if err := e.advance(func() bool { return len(e.chunks) == 0 }); err != nil {
		return err
	}
	if err := e.packer.Flush(); err != nil {
		return err
	}
	return e.give()
}

// near returns how many blocks it takes to find a splice.
func (e *parallelEncoder) near() int64 {
	return 2*e.plan.warmup + mp3.Lookahead + heldBack + workerBatch
}

// room returns how many blocks may wait: a chunk for each worker but the leftmost,
// and what it takes to find a splice.
func (e *parallelEncoder) room() int64 {
	others := max(e.working, 1) - 1
	if e.working < e.most && (e.eager || e.share.pool.idle()) {
		others++
	}
	if others == 0 {
		return e.near()
	}
	return int64(others)*e.plan.length() + max(e.near(), e.plan.length()/4)
}

// advance does what can be done until it is enough.
func (e *parallelEncoder) advance(enough func() bool) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.change.Broadcast() // there are blocks
	for {
		e.divide()
		more, err := e.lay()
		if e.err != nil {
			err = e.err // what lay says may follow from it
		}
		if err != nil {
			return err
		}
		if len(e.sizes) > 0 {
			if err := e.unlocked(e.give); err != nil {
				return err
			}
		}
		e.forget()
		switch {
		case more:
		case enough():
			return nil
		default:
			e.change.Wait()
		}
	}
}

// unlocked calls f while the lock, which is held, is not. f may panic: the caller's
// writer is called in it.
func (e *parallelEncoder) unlocked(f func() error) error {
	e.mu.Unlock()
	defer e.mu.Lock()
	return f()
}

// give hands on the frames that were laid. The destination may be slow; nobody
// has to wait for it but the conversion's own goroutine.
func (e *parallelEncoder) give() error {
	at := 0
	for _, size := range e.sizes {
		if err := e.emit(e.laid[at:][:size]); err != nil {
			return err
		}
		at += size
	}
	e.laid, e.sizes = e.laid[:0], e.sizes[:0]
	return nil
}

// divide makes a chunk as soon as there are blocks for it, and a worker if there is
// room for one.
func (e *parallelEncoder) divide() {
	for e.made == 0 || e.blocks.end > e.plan.begin(e.made) {
		c := &chunk{at: e.plan.begin(e.made), splice: e.plan.splice(e.made), end: e.plan.splice(e.made + 1)}
		c.frames.Reset(c.at)
		e.chunks = append(e.chunks, c)
		e.made++
	}
	if e.working < e.most && e.untaken() >= 0 && (e.working == 0 || e.eager || e.share.pool.idle()) {
		e.working++
		e.workers.Go(e.work)
	}
}

// untaken returns the index of the first chunk that no worker has, or -1.
func (e *parallelEncoder) untaken() int {
	for i, c := range e.chunks {
		if !c.taken {
			return i
		}
	}
	return -1
}

// forget lets go of the blocks that nobody needs any more.
func (e *parallelEncoder) forget() {
	low := min(e.blocks.end, e.plan.begin(e.made))
	for _, c := range e.chunks {
		low = min(low, c.at)
	}
	e.blocks.drop(low)
}

// lay lays the frames of the leftmost chunk, and goes over to the next where that
// can be done. It reports whether there is more to do at once.
func (e *parallelEncoder) lay() (bool, error) {
	if len(e.chunks) == 0 {
		return false, nil
	}
	const step = 256 // frames, so that little is held for the destination
	left := e.chunks[0]
	until := left.frames.End()
	if !left.over {
		until = min(until, left.end-spliceWindow)
	}
	if until > e.next {
		return true, e.take(left, min(until, e.next+step))
	}
	switch {
	case left.over:
		// What was begun to the right of the stream's end is not needed.
		for _, c := range e.chunks {
			e.abandon(c)
		}
		e.chunks = nil
		return false, nil
	case !left.done && left.onward:
		return e.step(left)
	case !left.done || len(e.chunks) == 1:
		return false, nil
	}
	right := e.chunks[1]
	if right.frames.End() <= left.end+mp3.Lookahead {
		if !right.over {
			return false, nil
		}
		// So near to the stream's end, a splice is not worth its while.
	} else if n, ok := e.splice(&left.frames, &right.frames, e.packer.Level(), e.next, left.end, right.splice); ok {
		if err := e.take(left, n); err != nil {
			return false, err
		}
		e.abandon(left)
		e.chunks = e.chunks[1:]
		e.spliced++
		return true, nil
	}
	e.goOn(left, right)
	return true, nil
}

// take lays frames of a chunk up to a number.
func (e *parallelEncoder) take(c *chunk, until int64) error {
	for ; e.next < until; e.next++ {
		if err := e.packer.Add(c.frames.Frame(e.next), c.frames.Main(e.next)); err != nil {
			return err
		}
	}
	// Splice looks two frames back.
	c.frames.Drop(e.next - 2)
	return nil
}

// goOn makes the left chunk reach into the right one, to try again there, or
// swallow it.
func (e *parallelEncoder) goOn(left, right *chunk) {
	left.done, left.onward = false, true
	left.end += onward
	// Splice looks as far ahead as the right one goes, or it would wait forever.
	if left.end < right.end-spliceWindow-mp3.Lookahead {
		return
	}
	left.end = right.end
	e.chunks = slices.Delete(e.chunks, 1, 2)
	e.abandon(right)
	e.unspliced++
}

// abandon frees a chunk as soon as its worker has left it.
func (e *parallelEncoder) abandon(c *chunk) {
	c.dropped = true
	if !c.taken || c.done {
		c.close()
	}
}

// work is a worker. It takes one chunk after the other.
func (e *parallelEncoder) work() {
	e.mu.Lock()
	defer func() {
		e.working--
		e.mu.Unlock()
		e.change.Broadcast()
	}()
	for e.err == nil {
		i := e.untaken()
		switch {
		case i < 0 && e.ended:
			return
		case i < 0:
			e.change.Wait()
			continue
		case !e.share.pool.join(e.eager || e.working == 1):
			return // others need the processors
		}
		c := e.chunks[i]
		c.taken = true
		err := e.run(c)
		e.share.pool.quit()
		if err != nil {
			e.note(err)
		}
	}
}

// run encodes a chunk.
func (e *parallelEncoder) run(c *chunk) error {
	if err := e.unlocked(c.open(e.config)); err != nil {
		return err
	}
	var err error
	for err == nil && e.err == nil && !c.dropped && !c.done {
		var more bool
		if more, err = e.step(c); err == nil && !more {
			e.change.Wait()
		}
	}
	if c.dropped || !c.done {
		c.close() // nobody goes on from here
	}
	return err
}

// step encodes the next batch of a chunk. It returns false if the blocks for it
// have not come yet. The lock is held before and after it.
func (e *parallelEncoder) step(c *chunk) (bool, error) {
	// A frame comes out when the encoder has the next block, or up to heldBack later.
	wanted := c.end + 1 - min(c.at, c.frames.End()+1)
	if wanted <= 0 {
		e.complete(c)
		return true, nil
	}
	c.batch = e.blocks.read(c.batch[:0], c.at, c.at+min(wanted, longestBatch))
	if int64(len(c.batch)) < min(wanted, workerBatch) && !e.ended {
		return false, nil
	}
	n := 0
	err := e.unlocked(func() (err error) {
		if err = e.share.enter(e.ctx); err != nil {
			return err
		}
		defer e.share.leave()
		n, err = c.lame.encode(c.batch, &e.stop, &e.share.pool.hurry)
		return err
	})
	if err == nil {
		err = c.lame.packets(c.frames.Add)
	}
	if err != nil {
		return false, err
	}
	c.at += int64(n)
	if len(c.batch) == 0 {
		c.done, c.over = true, true
	}
	e.change.Broadcast()
	return true, nil
}

// complete ends a chunk, or makes it longer: as long as nobody else has begun the
// next one, its encoder is the best for it, unless the result is to be the same
// however many workers there are.
func (e *parallelEncoder) complete(c *chunk) {
	if i := slices.Index(e.chunks, c) + 1; !e.eager && !c.onward && i > 0 && i < len(e.chunks) && !e.chunks[i].taken {
		c.end = e.chunks[i].end
		e.chunks = slices.Delete(e.chunks, i, i+1)
		return
	}
	c.done = true
	e.change.Broadcast()
}
