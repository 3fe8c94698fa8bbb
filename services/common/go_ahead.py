"""The word by which a pod calls for what a client holds back: a key of the call's initial metadata.

Knows the word only. A call that was refused has initial metadata too, but not this.
"""

GO_AHEAD = "acesteps-go-ahead"
