import json, re
from pathlib import Path
from tests.architecture.test_pages import *
from tests.databases import on_both_databases
names=set()
for f in Path("app/dashboard").glob("*.py"):
    t=f.read_text()
    names|=set(re.findall(r'(?:args|form)\.(?:get|getlist)\(\s*"(\w+)"',t))
from app.web.asset_filters import AssetQuery
from app.web.export_urls import ExportUrlQuery
names|=set(AssetQuery.model_fields)|set(ExportUrlQuery.model_fields)|{"name","color","parentId","collectionId","tags","add","remove","ids","only","names","preset","query","once","until","email","role"}
VALUES=["\0a","a\0","\x1b","-1","0","99999999999999999999999","9"*5000,"1e400","NaN","٣","\u202eabc","</script><b>",'"',"'","x"*9000,"%00","\ud7ff\uffff","\U0001f600"*300,"a,b","2026-13-45","0001-01-01","9999-12-31T23:59:59-23:59","null","true","..","../..","\r\nX: y",",".join(["a"]*2000),"image_"+"z"*24]
@pytest.mark.parametrize("app", ["postgresql"], indirect=True)
def test_fuzz(app, acme, sign_in):
    client=sign_in(acme, Role.OWNER); bad=[]; n=0
    skip=("team","keys","billing","deletion","settings","security","account","data_export","activity","usage","overview","organizations")
    for rule, method in pages(app, Member):
        if rule.endpoint.split(".")[1] in skip: continue
        ids = SAMPLES[rule.endpoint](app, acme, Mode.LIVE) if rule.endpoint in SAMPLES else {}
        path=path_of(app, rule, slug=acme.slug, **ids)
        for v in VALUES:
            if method=="GET" and len(v)>5000: v=v[:5000]
            kw={"query_string":{n:v for n in names}} if method=="GET" and len(v)<100 else None
            trials=[kw] if kw else []
            src=Path("app/dashboard/"+rule.endpoint.split(".")[1]+".py")
            t=src.read_text() if src.exists() else ""
            mine=[x for x in names if x in t] or list(names)
            for x in (mine if len(v)<6000 else mine[:0]):
                trials.append({"query_string":{x:v}} if method=="GET" else {"data":{x:v}})
            if method!="GET": trials.append({"data":{x:v for x in names}})
            for tr in trials:
                for h in ({},):
                    try:
                        a=client.open(path, method=method, headers={**SAME_SITE,**h}, **tr)
                        n+=1
                        if a.status_code>=500: bad.append((method,rule.endpoint,{k:{q:str(w)[:30] for q,w in d.items()} for k,d in tr.items()} if len(str(tr))<400 else "all:"+v[:30],a.status_code))
                    except Exception as e:
                        bad.append((method,rule.endpoint,str(tr)[:150],repr(e)[:200]))
    print("N",n)
    seen=set()
    for b in bad:
        k=(b[0],b[1],str(b[3])[:80])
        if k in seen: continue
        seen.add(k); print("BAD",b)
    assert not bad
