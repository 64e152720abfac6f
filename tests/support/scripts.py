"""A few made-up sentences in each of many scripts, and pieces learned from them."""

from wikixlm.bpe.learn_pieces import learn_pieces
from wikixlm.files import atomic_text
from wikixlm.tokenize.normalization import LineNormalizer

SCRIPTS = {
    "my": "မြန်မာနိုင်ငံသည် အရှေ့တောင်အာရှတွင် ရှိသည်။ ကျွန်တော် စာဖတ်သည်။",
    "km": "ភ្នំពេញជារាជធានីនៃប្រទេសកម្ពុជា។ ខ្ញុំចូលចិត្តអានសៀវភៅ។",
    "lo": "ວຽງຈັນເປັນນະຄອນຫຼວງຂອງປະເທດລາວ. ຂ້ອຍມັກອ່ານປຶ້ມ.",
    "bo": "ལྷ་ས་ནི་བོད་ཀྱི་རྒྱལ་ས་ཡིན། ང་དེབ་ཀློག་པར་དགའ།",
    "th": "กรุงเทพฯ เป็นเมืองหลวงของประเทศไทย ฉันชอบอ่านหนังสือ",
    "ja": "東京は日本の首都です。ガラスとカラスは違う。がき、かき、ｶﾞ！",
    "zh": "北京是中国的首都，人口两千万。我喜欢读书。",
    "ko": "서울은 대한민국의 수도이다. 나는 책을 읽는다.",
    "hi": "दिल्ली भारत की राजधानी है। मैं हिन्दी की किताब पढ़ता हूँ। क्‍ष",
    "ta": "சென்னை தமிழ்நாட்டின் தலைநகரம். நான் புத்தகம் படிக்கிறேன்.",
    "te": "హైదరాబాదు తెలంగాణ రాజధాని. నేను పుస్తకం చదువుతాను.",
    "ml": "തിരുവനന്തപുരം കേരളത്തിന്റെ തലസ്ഥാനമാണ്. ഞാൻ പുസ്തകം വായിക്കുന്നു. അവന്‍",
    "si": "කොළඹ ශ්‍රී ලංකාවේ නගරයකි. මම පොත් කියවමි.",
    "vi": "Hà Nội là thủ đô của Việt Nam. Năm nay tôi nằm nghe gió nam.",
    "el": "Η Αθήνα είναι η πρωτεύουσα της Ελλάδας. Πού ήταν; Που λες, νόμος ή νομός.",
    "ro": "București este capitala României. Ștefan și fata își văd țara în mâini.",
    "ru": "Москва — столица России. Мой край, а не мои края; ёлка и всё такое.",
    "uk": "Київ — столиця України. Комп'ютер і сім’я: їжак з'їв ґедзя.",
    "he": "ירושלים היא בירת ישראל. צה״ל, ג'ירפה, שָׁלוֹם.",
    "ar": "القاهرة عاصمة مصر. كَتَبَ الطالب الكتابَ؛ هل قرأته؟",
    "fa": "تهران پایتخت ایران است. من کتاب‌ها را می‌خوانم.",
    "ka": "თბილისი საქართველოს დედაქალაქია. მე წიგნს ვკითხულობ.",
    "hy": "Երևանը Հայաստանի մայրաքաղաքն է։ Ինչո՞ւ ես գիրք չեմ կարդում։",
    "am": "አዲስ አበባ የኢትዮጵያ ዋና ከተማ ናት። እኔ መጽሐፍ አነባለሁ።",
    "en": "London is the capital of England. I don't read <mask> or <0xE2> books.",
}


def pieces_of_all_scripts(folder, kind="unigram", normalization="nfkc"):
    """A PieceModel learned from the sentences, each five times."""
    normalizer = LineNormalizer(normalization)
    with atomic_text(folder / "sample") as stream:
        for text in [*SCRIPTS.values()] * 5:
            stream.write(" ".join(word for word in normalizer.tokenize(text) if "<" not in word) + "\n")
    return learn_pieces(folder / "sample", kind, 1000, normalization)
