public import ArgumentParser
import EttinInference
public import Torch

/// Where and in what precision a model runs.
struct ModelOptions: ParsableArguments {
    @Option(help: "The type to compute in; that of the files unless given. int8: the layers' products, on the CPU.")
    var dtype: ComputeDType?

    @OptionGroup var place: DeviceOptions

    /// Sets the number of threads and finds the device.
    ///
    /// - Throws: `DeviceError` when this machine does not have it.
    func prepare() throws -> ComputeOptions {
        let device = try place.prepare()
        if let dtype { ComputeDType.noteSlow([dtype], on: device) }
        return ComputeOptions(device: device, dtype: dtype)
    }
}

extension ComputeDType: ExpressibleByArgument {}

extension ComputeDType {
    /// Says which of the types asked for are slower than float32 here.
    static func noteSlow(_ dtypes: [ComputeDType], on device: Device) {
        let slow = dtypes.filter { $0 != .float32 }.map(\.rawValue)
        guard device == .cpu, !slow.isEmpty, !InstructionSet.multipliesNarrowTypes else { return }
        Diagnostics.note(
            "note: --dtype \(slow.joined(separator: ",")) is slower than float32 on this processor, which has no BF16 and "
                + "VNNI instructions (kernels: \(TorchRuntime.kernelInstructionSet))"
        )
    }
}
