package chart

import (
	"bytes"
	"io"
	"log"
	"sync"
)

// Helm warns about values that do not fit through the process's standard logger, and
// prints the values, which may be secrets. Such lines are dropped; the logger is left
// alone otherwise.

var (
	discretion sync.Mutex
	// unwanted begin what Helm's packages log while they merge values.
	unwanted = [][]byte{
		[]byte("warning: cannot overwrite table with non table"),
		[]byte("warning: destination for "),
		[]byte("warning: skipped value for "),
		[]byte("warning: skipping globals because "),
		[]byte("warning: unable to co"),
		[]byte("Conflict: cannot merge map onto non-map"),
		[]byte(" is table. Skipping"),
		[]byte("Warning: Dependenc"),
		[]byte("returned non-bool value"),
		[]byte("the method PathValue returned error"),
		[]byte("ImportValues missing table"),
		[]byte("error converting metadata to map"),
	}
)

type discreet struct{ next io.Writer }

func (d *discreet) Write(line []byte) (int, error) {
	for _, u := range unwanted {
		if bytes.Contains(line, u) {
			return len(line), nil
		}
	}
	return d.next.Write(line)
}

// discreetly makes sure that the standard logger is discreet.
func discreetly() {
	discretion.Lock()
	defer discretion.Unlock()
	if _, ok := log.Writer().(*discreet); !ok {
		log.SetOutput(&discreet{next: log.Writer()})
	}
}
