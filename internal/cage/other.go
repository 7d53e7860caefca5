//go:build !linux

package cage

import (
	"errors"
	"net"
)

// Enter does nothing: there are no cages on this system, and [New] says so.
func Enter() {}

// EnterWith is [Enter].
func EnterWith(Converter) {}

var errSystem = errors.New("there are cages on Linux only")

type spawner struct{}

func newSpawner() *spawner { return &spawner{} }

func (*spawner) close() {}

func (*spawner) start(bounds) (*process, net.Conn, error) { return nil, nil, errSystem }

type process struct{}

func (*process) kill()        {}
func (*process) wait()        {}
func (*process) died() *Fault { return nil }
