// Says hello, and counts the words of what is posted to it.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"example.com/go-hello/words"
)

const bodyMax = 1 << 20

func main() {
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "Hello from Go, instance %s\n", os.Getenv("CF_INSTANCE_INDEX"))
	})
	http.HandleFunc("/count", func(w http.ResponseWriter, r *http.Request) {
		text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, bodyMax))
		if err != nil {
			http.Error(w, err.Error(), http.StatusRequestEntityTooLarge)
			return
		}
		fmt.Fprintln(w, words.Count(string(text)))
	})
	address := ":" + os.Getenv("PORT")
	log.Printf("listening on %s", address)
	log.Fatal(http.ListenAndServe(address, nil))
}
