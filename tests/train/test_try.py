import time, json
from whence.train import train, outcome
from whence.train.compare import compare
def test_try(store, prepared):
    run = prepared()
    t=time.time()
    a = train(store, run, on_progress=print)
    print(time.time()-t)
    o = outcome(store, run)
    print(o.adapter, o.report)
    print(store.blobs.get(o.report.example)); print(list(o.folder.parent.rglob('*')))
    print((o.folder/'adapter_config.json').read_text())
    print(json.loads((o.folder.parent/'checkpoint-4/trainer_state.json').read_text()))
