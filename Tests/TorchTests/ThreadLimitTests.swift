import Foundation
import Testing

@testable import Torch

@Suite("Threads that the system starts or refuses") struct ThreadLimitTests {
    @Test("as many as are wanted where nothing is refused") func unlimited() {
        for count in [1, 2, 5] { #expect(TorchRuntime.startableThreads(upTo: count) == count) }
        #expect(TorchRuntime.respectThreadLimit() == nil)
    }

    @Test("the calling thread is left where every other is refused") func refused() {
        #expect(TorchRuntime.startableThreads(upTo: 4) { _, _, _, _ in EAGAIN } == 1)
    }
}
