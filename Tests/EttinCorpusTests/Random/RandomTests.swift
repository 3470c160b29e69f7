import EttinCorpus
import Testing

@Suite("The originals' random generators")
struct RandomTests {
    @Test("PCG64DXSM gives NumPy's words and permutations")
    func dxsm() {
        var generator = NumPyGenerator(seed: 21, variant: .dxsm)
        let words = (0..<3).map { _ in generator.next64() }
        #expect(words == [0xE370_6727_95A9_66D5, 0x0F62_F441_4FF4_0C15, 0xA961_945F_0BCE_E3C9])
        let permutations: [UInt64: [Int]] = [
            21: [3, 9, 10, 2, 0, 6, 4, 8, 1, 11, 7, 5],
            22: [10, 6, 5, 11, 7, 8, 4, 0, 2, 1, 9, 3],
            42: [9, 0, 10, 6, 4, 11, 8, 5, 7, 1, 2, 3],
        ]
        for (seed, expected) in permutations {
            var generator = NumPyGenerator(seed: seed, variant: .dxsm)
            #expect(generator.permutation(12) == expected)
            var narrow = NumPyGenerator(seed: seed, variant: .dxsm)
            #expect(narrow.permutation(12, as: UInt32.self) == expected.map { UInt32($0) })
        }
    }

    @Test("PCG64 gives NumPy's words, numbers, integers and permutations")
    func pcg64() {
        var words = NumPyGenerator(seed: 21)
        #expect(
            (0..<3).map { _ in words.next64() }
                == [0xC7F7_5282_4D29_6872, 0x9B18_CA7A_62D4_5CA3, 0xB5B5_87E3_774F_67ED]
        )
        var numbers = NumPyGenerator(seed: 21)
        #expect(
            (0..<3).map { _ in numbers.random() } == [0.781117588817471, 0.605847029570968, 0.7098011904084252]
        )
        var integers = NumPyGenerator(seed: 21)
        #expect((0..<5).map { _ in integers.integer(in: 0..<50285) } == [15156, 39278, 19412, 30465, 23435])
        var permutation = NumPyGenerator(seed: 21)
        #expect(permutation.permutation(12) == [7, 8, 5, 4, 1, 0, 10, 6, 9, 3, 11, 2])
    }

    @Test("Doubles do not take the half word that an integer left")
    func mixedDraws() {
        var generator = NumPyGenerator(seed: 7)
        #expect(generator.integer(in: 3..<9) == 8)
        #expect(
            (0..<3).map { _ in generator.uniform(-2, 3) }
                == [2.4860690048478773, 1.8784284512259677, -0.8739640500470407]
        )
    }

    @Test("A range of one value draws nothing; ranges wider than 32 bits stay inside")
    func ranges() {
        var generator = NumPyGenerator(seed: 1)
        let untouched = generator
        #expect(generator.integer(in: 5..<6) == 5)
        #expect(generator == untouched)
        let wide = -3_000_000_000..<3_000_000_000
        for _ in 0..<1000 { #expect(wide.contains(generator.integer(in: wide))) }
    }

    @Test("The legacy generator gives numpy.random.randint's numbers")
    func legacy() {
        var generator = NumPyLegacyGenerator(seed: 42)
        let limits = [522, 566, 1000, 3, 1, 894]
        #expect(limits.map { generator.integer(in: 0..<$0) } == [102, 435, 860, 2, 0, 106])
    }

    @Test(
        "Python's sample",
        arguments: [
            (12, 30, [15, 8, 21], [16, 21, 11]), (12, 100, [60, 34, 84], [67, 85, 44]),
            (7, 5, [2, 1, 3, 0, 4], [4, 0, 1, 3, 2]), (7, 40, [20, 9, 25, 3, 4, 34], [6, 23, 37, 3, 32, 13]),
            // Up to 85 numbers are a pool, of which what was drawn is taken; more are drawn again when they repeat.
            (1, 85, [17, 72, 8, 32, 15, 63], [57, 60, 48, 26, 12, 62]),
            (1, 86, [17, 72, 8, 32, 15, 63], [57, 60, 83, 48, 26, 12]),
            (1_099_511_627_779, 70, [28, 7, 12, 38, 54, 29, 60, 35], [42, 33, 39, 32, 60, 69, 47, 6]),
        ] as [(UInt64, Int, [Int], [Int])]
    )
    func pythonSample(_ example: (seed: UInt64, limit: Int, first: [Int], second: [Int])) {
        var generator = PythonGenerator(seed: example.seed)
        #expect(generator.sample(example.limit, example.first.count) == example.first)
        #expect(generator.sample(example.limit, example.second.count) == example.second)
    }

    @Test("Python's generator gives its shuffles and choices")
    func python() {
        var first = Array(0..<10)
        var generator = PythonGenerator(seed: 42)
        generator.shuffle(&first)
        #expect(first == [7, 3, 2, 8, 5, 6, 9, 4, 0, 1])
        var second = Array(0..<10)
        generator = PythonGenerator(seed: 12345)
        generator.shuffle(&second)
        #expect(second == [8, 7, 3, 5, 1, 2, 9, 4, 0, 6])
        generator = PythonGenerator(seed: 7)
        #expect(generator.choice(["only"]) == "only")
    }
}
