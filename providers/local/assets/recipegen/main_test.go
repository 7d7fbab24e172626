package main

import (
	"bytes"
	"os"
	"testing"
)

func TestRecipesAreCurrent(t *testing.T) {
	want, err := compose("../../../..")
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile("../recipes.txtar")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Fatal("recipes.txtar is not what the module files say; run: go generate ./providers/local/assets")
	}
}
